"""Folders opened component by component, so that no link below the root is ever followed.

A path that is checked and then used can be swapped for a link in between; a descriptor can't.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
"""What `OSError.errno` says where nothing lies, a folder became a file, or a link leads on.

A name that is too long for the disk can't lie there: the hidden name of a photo may be one.
"""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY


@contextmanager
def opened_folder(root: Path, folder: str = "") -> Iterator[int]:
    """The descriptor of a folder under `root`; only `root` itself may be a link.

    Raises:
        OSError: If it is gone, is no folder, is a link or lies behind one, or can't be read.
    """
    descriptor = os.open(root, _FOLDER)
    try:
        for part in PurePosixPath(folder).parts:
            inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def parent_of(root: Path, path: str) -> Iterator[tuple[int, str]]:
    """The descriptor of the folder that `path` lies in, and the last part of `path`.

    Raises:
        OSError: As `opened_folder`.
    """
    place = PurePosixPath(path)
    with opened_folder(root, str(place.parent)) as descriptor:
        yield descriptor, place.name


def lstat(root: Path, path: str) -> os.stat_result:
    """The status of what lies at `path`; links are not followed.

    Raises:
        OSError: As `opened_folder`.
    """
    with parent_of(root, path) as (folder, name):
        return os.stat(name, dir_fd=folder, follow_symlinks=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """Something in a folder; a link is neither folder nor file."""

    name: str
    is_folder: bool
    is_file: bool


def list_folder(root: Path, folder: str = "") -> list[Entry]:
    """What lies in a folder, by name.

    Raises:
        OSError: As `opened_folder`.
    """
    with opened_folder(root, folder) as descriptor, os.scandir(descriptor) as entries:
        found = [
            Entry(e.name, e.is_dir(follow_symlinks=False), e.is_file(follow_symlinks=False))
            for e in entries
        ]
    return sorted(found, key=lambda entry: entry.name)
