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
    errno.ENOENT: "its folder is missing",
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

    def everything_of(self, key: str) -> list[str]:
        """Paths of all that has to go with a subject; those of folders end with a slash.

        That is its folder in every spelling, with everything in it, whatever it is and however it
        is named, and what else in the root bears its name, as a link does. The subject `default`
        has no folder of its own: of it, only the photos in the root go.
        """
        with file_errors("The subject's folder can't be read"):
            entries = self._entries("")
            if key == DEFAULT_SUBJECT:
                return [entry.name for entry in entries if is_photo(entry)]
            own = [e for e in entries if _is_of(key, e.name) and not is_photo(e)]
            found = (self._tree(e.name) if e.is_folder else [e.name] for e in own)
            return [path for paths in found for path in paths]

    def _tree(self, folder: str) -> list[str]:
        """A folder and all below it; links are not followed. A folder comes after its content."""
        found, waiting = [], [folder]
        while waiting:
            folder = waiting.pop()
            found.append(f"{folder}/")
            for entry in self._entries_if_there(folder):
                (waiting if entry.is_folder else found).append(join(folder, entry.name))
        return found[::-1]

    def _entries_if_there(self, folder: str) -> list[Entry]:
        try:
            return self._entries(folder)
        except OSError as error:
            if error.errno not in ABSENT:
                raise
            # Gone, or swapped for a link, since the folder around it was listed.
            return []

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
        return [name for name in self._subject_folders() if _is_of(key, name)]


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
    """Whether the name and kind of a file are those of a photo."""
    return entry.is_file and has_photo_name(entry.name)


def has_photo_name(name: str) -> bool:
    """Whether a file of this name may be a photo; hidden ones are not."""
    return not name.startswith(".") and PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def is_folder_path(path: str) -> bool:
    """Whether a path is written as that of a folder."""
    return path.endswith("/")


def belongs_to(key: str, path: str) -> bool:
    """Whether a path is, or lies in, something of a subject's name; of `default`, a root photo."""
    top, inside, _ = path.partition("/")
    if key == DEFAULT_SUBJECT:
        return not inside and has_photo_name(top)
    return _is_of(key, top)


def _is_of(key: str, name: str) -> bool:
    return is_subject_name(name) and name.casefold() == key


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
