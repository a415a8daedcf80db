"""The folder verification_images: what lies where.

The root holds the photos of the subject `default`, a sub-folder those of the subject it is named
after. Paths are relative to the root, with forward slashes. A photo on its way in lies beside its
later place under a hidden name ("staged"). Symbolic links are not followed.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Final

from app.domain.errors import StorageError
from app.domain.images import IMAGE_SUFFIXES
from app.domain.subjects import DEFAULT_SUBJECT, is_subject_name
from app.storage.folders import ABSENT, Entry, list_folder, lstat
from app.storage.records import FileStamp

MARKER: Final = ".facetwin-gallery"
"""Name of the file in the root that says whose folder it is."""
STAGED: Final = ".incoming-"
"""Begins the name of a photo on its way in."""
_DRAFT: Final = ".sealing-"
_CAUSES: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "its folder is not writable",
    errno.EPERM: "its folder is not writable",
    errno.EROFS: "its disk is read-only",
}


class FolderLayout:
    """Reads the layout of the folder `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def location(self, path: str) -> Path:
        """Where the photo of this path lies."""
        return self._root / path

    def lies_there(self, path: str) -> bool:
        """Whether anything has this path; a link counts, whatever it leads to."""
        try:
            lstat(self._root, path)
        except OSError as error:
            return error.errno not in ABSENT
        return True

    def belongings_of(self, key: str) -> list[str]:
        """Paths of all that has to go with a subject: everything in its folders, whatever it is.

        The subject `default` has no folder of its own; of it, only the photos in the root go.
        """
        with file_errors("The subject's folder can't be read"):
            if key == DEFAULT_SUBJECT:
                return [entry.name for entry in self._entries("") if is_photo(entry)]
            found = (p for folder in self._folders_of(key) for p in self._inside(folder))
            return [path for path in found if is_text(path)]

    def _inside(self, folder: str) -> Iterator[str]:
        """Files and links in a folder and below; links are not followed."""
        for entry in self._entries(folder):
            path = join(folder, entry.name)
            if entry.is_folder:
                yield from self._inside(path)
            else:
                yield path

    def folder_for(self, name: str) -> str:
        """The folder of a subject, relative to the root: an existing one in any spelling first."""
        if name.casefold() == DEFAULT_SUBJECT:
            return ""
        with file_errors("The folder verification_images can't be read"):
            return next(iter(self._folders_of(name.casefold())), name)

    def drafts(self) -> list[Path]:
        """Files that were being written in the place of a photo when a process ended."""
        return [self._root / path for path in self._hidden(_DRAFT)]

    def staged(self) -> list[str]:
        """Final paths of the photos that lie under a staged name."""
        places = [PurePosixPath(path) for path in self._hidden(STAGED)]
        return [str(place.with_name(place.name.removeprefix(STAGED))) for place in places]

    def _hidden(self, prefix: str) -> list[str]:
        """Paths of what has such a name; a subject's folder that can't be read is left out."""
        found: list[str] = []
        with file_errors("The folder verification_images can't be read"):
            folders = self._subject_folders()
            found += [e.name for e in self._entries("") if e.name.startswith(prefix)]
        for folder in folders:
            with suppress(OSError):
                entries = self._entries(folder)
                found += [join(folder, e.name) for e in entries if e.name.startswith(prefix)]
        return found

    def _entries(self, folder: str) -> list[Entry]:
        return list_folder(self._root, folder)

    def _subject_folders(self) -> list[str]:
        return [
            entry.name
            for entry in self._entries("")
            if entry.is_folder and folder_problem(entry.name) is None
        ]

    def _folders_of(self, key: str) -> list[str]:
        if key == DEFAULT_SUBJECT:
            return [""]
        return [name for name in self._subject_folders() if name.casefold() == key]


@contextmanager
def file_errors(what: str) -> Iterator[None]:
    """Raise StorageError, with `what` and the cause, in the place of OSError."""
    try:
        yield
    except OSError as error:
        cause = _CAUSES.get(error.errno or 0, error.strerror or "unknown error")
        raise StorageError(f"{what}: {cause}.") from error


def folder_problem(name: str) -> str | None:
    """Why a folder can't be a subject's."""
    if name.casefold() == DEFAULT_SUBJECT:
        return (
            "The photos of the subject default belong directly into verification_images. Move "
            "them there."
        )
    if not is_subject_name(name):
        return (
            "The folder's name can't be a subject: use 1 to 64 of A-Z a-z 0-9 . _ - and start "
            "with a letter or a digit."
        )
    return None


def is_photo(entry: Entry) -> bool:
    """Whether the name and kind of a file are those of a photo; its name must be text."""
    suffix = PurePosixPath(entry.name).suffix.lower()
    hidden = entry.name.startswith(".")
    return entry.is_file and not hidden and suffix in IMAGE_SUFFIXES and is_text(entry.name)


def join(folder: str, name: str) -> str:
    """The path of a name in a folder; the root is the empty folder."""
    return f"{folder}/{name}" if folder else name


def staged_path(path: str) -> str:
    """The hidden name under which a photo lies before it is published."""
    place = PurePosixPath(path)
    return str(place.with_name(STAGED + place.name))


def draft_path(path: str) -> str:
    """The hidden name of what will be put in a photo's place; of one length for every name."""
    place = PurePosixPath(path)
    return str(place.with_name(_DRAFT + sha256(os.fsencode(place.name)).hexdigest()[:32]))


def stamp_of(status: os.stat_result) -> FileStamp:
    """Size and time of a file."""
    return FileStamp(status.st_size, status.st_mtime_ns)


def is_text(name: str) -> bool:
    """Names that are not UTF-8 can't be kept in the database."""
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in name)
