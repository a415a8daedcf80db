"""The folder verification_images: what lies where.

The root holds the photos of the subject `default`, a sub-folder those of the subject it is named
after. Paths are relative to the root, with forward slashes. A photo on its way in lies beside its
later place under a hidden name ("staged"). Symbolic links are not followed.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from app.domain.errors import StorageError
from app.domain.images import IMAGE_SUFFIXES
from app.domain.subjects import DEFAULT_SUBJECT, is_subject_name
from app.storage.records import FileStamp

_STAGED: Final = ".incoming-"
_CAUSES: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "its folder is not writable",
    errno.EPERM: "its folder is not writable",
    errno.EROFS: "its disk is read-only",
}


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A photo in the folder; `subject` is the name of its folder as it is spelled."""

    path: str
    subject: str
    stamp: FileStamp


@dataclass(frozen=True, slots=True)
class FolderScan:
    """What lies in the folder.

    Attributes:
        files: Photos, in the order of their paths.
        folders: Valid subject folders as they are spelled, without the root.
        refused: Path and reason of what can't be looked at.
    """

    files: tuple[FolderFile, ...]
    folders: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


class FolderLayout:
    """Reads the layout of the folder `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def location(self, path: str) -> Path:
        """Where the photo of this path lies."""
        return self._root / path

    def scan(self) -> FolderScan:
        """List photos and subject folders.

        Raises:
            StorageError: If the folder can't be read; an unmounted disk is not an empty gallery.
        """
        files: list[FolderFile] = []
        folders: list[str] = []
        refused: list[tuple[str, str]] = []
        with file_errors("The folder verification_images can't be read"):
            for entry in self._entries(""):
                if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
                    continue
                problem = _folder_problem(entry.name)
                if problem is None:
                    folders.append(entry.name)
                else:
                    refused.append((_printable(entry.name), problem))
            for folder in ("", *folders):
                for entry in self._photos(folder):
                    if _is_text(entry.name):
                        files.append(_folder_file(folder, entry))
                    else:
                        path = _join(folder, _printable(entry.name))
                        refused.append((path, "The file's name is not valid text. Rename it."))
        return FolderScan(
            tuple(sorted(files, key=lambda f: f.path)), tuple(folders), tuple(refused)
        )

    def belongings_of(self, key: str) -> list[str]:
        """Paths of all that has to go with a subject: everything in its folders, whatever it is.

        The subject `default` has no folder of its own; of it, only the photos in the root go.
        """
        with file_errors("The subject's folder can't be read"):
            if key == DEFAULT_SUBJECT:
                return [entry.name for entry in self._photos("") if _is_text(entry.name)]
            found = (p for folder in self._folders_of(key) for p in self._inside(folder))
            return [path for path in found if _is_text(path)]

    def _inside(self, folder: str) -> Iterator[str]:
        """Files and links in a folder and below; links are not followed."""
        for entry in self._entries(folder):
            path = _join(folder, entry.name)
            if entry.is_dir(follow_symlinks=False):
                yield from self._inside(path)
            else:
                yield path

    def folder_for(self, name: str) -> str:
        """The folder of a subject, relative to the root: an existing one in any spelling first."""
        if name.casefold() == DEFAULT_SUBJECT:
            return ""
        with file_errors("The folder verification_images can't be read"):
            return next(iter(self._folders_of(name.casefold())), name)

    def staged(self) -> list[str]:
        """Final paths of the photos that lie under a staged name."""
        with file_errors("The folder verification_images can't be read"):
            return [
                _join(folder, entry.name.removeprefix(_STAGED))
                for folder in ("", *self._subject_folders())
                for entry in self._entries(folder)
                if entry.name.startswith(_STAGED)
            ]

    def _entries(self, folder: str) -> Iterator[os.DirEntry[str]]:
        with os.scandir(self._root / folder) as entries:
            yield from sorted(entries, key=lambda entry: entry.name)

    def _photos(self, folder: str) -> Iterator[os.DirEntry[str]]:
        for entry in self._entries(folder):
            is_image = PurePosixPath(entry.name).suffix.lower() in IMAGE_SUFFIXES
            if is_image and not entry.name.startswith(".") and _is_file(entry):
                yield entry

    def _subject_folders(self) -> list[str]:
        return [
            entry.name
            for entry in self._entries("")
            if entry.is_dir(follow_symlinks=False) and _folder_problem(entry.name) is None
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


def _folder_problem(name: str) -> str | None:
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


def _is_file(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False)


def _folder_file(folder: str, entry: os.DirEntry[str]) -> FolderFile:
    stamp = stamp_of(entry.stat(follow_symlinks=False))
    return FolderFile(_join(folder, entry.name), folder or DEFAULT_SUBJECT, stamp)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def staged_path(path: str) -> str:
    """The hidden name under which a photo lies before it is published."""
    place = PurePosixPath(path)
    return str(place.with_name(_STAGED + place.name))


def stamp_of(status: os.stat_result) -> FileStamp:
    """Size and time of a file."""
    return FileStamp(status.st_size, status.st_mtime_ns)


def _is_text(name: str) -> bool:
    """Names that are not UTF-8 can't be kept in the database."""
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in name)


def _printable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "replace")
