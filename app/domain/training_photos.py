"""Which files are training photos, and how many there are."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from app.domain.images import FOREIGN_SUFFIXES, IMAGE_SUFFIXES

_SUFFIXES: Final = IMAGE_SUFFIXES | FOREIGN_SUFFIXES


def has_training_suffix(name: str) -> bool:
    """Whether a file is looked at; kinds that can't be read are, so that their owner is told."""
    return PurePosixPath(name).suffix.lower() in _SUFFIXES


@dataclass(frozen=True, slots=True)
class RoleSize:
    """What a role's folder holds.

    Attributes:
        photos: Files that look like photos, at any depth.
        size: Their bytes.
        folders: Folders directly below it that hold photos.
        loose: Photos that lie in none.
    """

    photos: int = 0
    size: int = 0
    folders: int = 0
    loose: int = 0
