"""The folders of training photos, and whose photo each file is."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Final

from app.domain.training import Role
from app.domain.training_photos import has_training_suffix

OWNER: Final = 0
"""Number of the owner among people; all others count from 1."""


@dataclass(frozen=True, slots=True)
class TrainingPhoto:
    """A file in one of the three folders.

    Attributes:
        path: Where it lies.
        role: The folder that it lies in.
        person: Empty for the owner. Of a negative the first folder below `negative`, or the file's
            own name if it lies in none: then it is taken for a person of its own.
        given_name: What reports call it; its path in the folder of the three.
    """

    path: Path
    role: Role
    person: str
    given_name: str = ""

    @property
    def name(self) -> str:
        """What reports call it."""
        return self.given_name or self.path.name


def read_photos(data_dir: Path, subject: str | None = None) -> list[TrainingPhoto]:
    """All photos under `anchor`, `positive` and `negative`, in the order of their paths.

    Folders may be nested. Hidden files and links are left out, but for a role's folder itself,
    which may be a link; folders that are missing or can't be read hold no photos.

    Args:
        data_dir: The folder of the three.
        subject: Whom the job is about. If `anchor` or `positive` has a folder of this name (as
            uploads make it), only what lies in these folders is the owner's; otherwise, and by
            default, everything in them is.
    """
    found = {role: list(_files(data_dir / role.value)) for role in Role}
    if subject is not None:
        own = {role: [f for f in found[role] if _is_in(f, subject)] for role in _OWN}
        if any(own.values()):
            found |= own
    return [
        TrainingPhoto(data_dir / role.value / file, role, _person(role, file), _name(role, file))
        for role in Role
        for file in found[role]
    ]


def left_out(data_dir: Path, subject: str) -> int:
    """How many photos right in `anchor` and `positive` are not the owner's, for `read_photos`.

    Photos in folders of others are left out too, but nobody expects anything else.
    """
    taken = {photo.path for photo in read_photos(data_dir, subject)}
    places = [data_dir / role.value for role in _OWN]
    return sum(
        place / file not in taken
        for place in places
        for file in _files(place)
        if len(file.parts) == 1
    )


def hashes_of_others(data_dir: Path, subject: str) -> set[str]:
    """SHA-256 of the photos in `anchor` and `positive` that `read_photos` leaves out for a subject.

    Photos that can't be read have none.
    """
    taken = {photo.path for photo in read_photos(data_dir, subject)}
    found = set()
    for place in (data_dir / role.value for role in _OWN):
        for file in _files(place):
            if place / file not in taken:
                with suppress(OSError), (place / file).open("rb") as photo:
                    found.add(file_digest(photo, "sha256").hexdigest())
    return found


_OWN: Final = (Role.ANCHOR, Role.POSITIVE)


def _files(folder: Path) -> list[Path]:
    """Photos below a folder, relative to it, sorted."""
    return sorted(_walk(folder), key=os.fspath)


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(place, name)
            is_photo = has_training_suffix(name) and not name.startswith(".")
            if is_photo and path.is_file() and not path.is_symlink():
                yield path.relative_to(folder)


def _is_in(file: Path, subject: str) -> bool:
    return len(file.parts) > 1 and file.parts[0].casefold() == subject.casefold()


def _person(role: Role, file: Path) -> str:
    return _text(file.parts[0]) if role is Role.NEGATIVE else ""


def _name(role: Role, file: Path) -> str:
    return _text(f"{role.value}/{file.as_posix()}")


def _text(path: str) -> str:
    """A path that can be shown: a name may be any bytes."""
    return os.fsencode(path).decode("utf-8", "replace")
