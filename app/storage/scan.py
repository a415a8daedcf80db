"""One look at the folder verification_images: its photos, its subjects, and what can't be read."""

import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from app.domain.errors import StorageError
from app.domain.images import FOREIGN_SUFFIXES, IMAGE_SUFFIXES
from app.domain.subjects import DEFAULT_SUBJECT
from app.storage.folders import ABSENT, opened_folder
from app.storage.layout import MARKER, STAGED, folder_problem, join, stamp_of
from app.storage.path_text import is_text, printable
from app.storage.records import FileStamp

_FOREIGN: Final = "Photos of this kind are not read. Save it as JPEG, PNG or WebP."
_NESTED: Final = "Folders inside a person's folder are not looked into. Move the photos up."
_UNNAMEABLE: Final = "The file's name is not valid text. Rename it."


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A photo in the folder.

    Attributes:
        subject: The name of its folder as it is spelled.
        ctime_ns: Moves with every change of the file, also where its time was set back.
    """

    path: str
    subject: str
    stamp: FileStamp
    ctime_ns: int = 0


@dataclass(frozen=True, slots=True)
class FolderScan:
    """What lies in the folder.

    Attributes:
        files: Photos, in the order of their paths.
        folders: Valid subject folders as they are spelled, without the root.
        refused: Path and reason of what can't be looked at.
        unread: Those of `folders` that can't be listed; what lies in them is not known.
        staged: Whether a photo is on its way in, or was when a process ended.
        marker: Stamp of the file that names the gallery.
    """

    files: tuple[FolderFile, ...]
    folders: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]
    unread: frozenset[str] = frozenset()
    staged: bool = False
    marker: FileStamp | None = None

    def hides(self, path: str) -> bool:
        """Whether a path lies in a folder that can't be listed."""
        return PurePosixPath(path).parts[0] in self.unread


@dataclass(slots=True)
class _Finds:
    files: list[FolderFile] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)
    staged: bool = False
    marker: FileStamp | None = None


def scan_folder(root: Path) -> FolderScan:
    """List photos and subject folders; links are not followed.

    Raises:
        StorageError: If the folder can't be read; an unmounted disk is not an empty gallery.
    """
    finds = _Finds()
    try:
        _look_into(root, "", finds)
    except OSError as error:
        raise StorageError(
            f"The folder verification_images can't be read: {error.strerror}."
        ) from error
    for folder in finds.folders:
        try:
            _look_into(root, folder, finds)
        except OSError as error:
            if error.errno in ABSENT:
                # Gone, or swapped for a link, since the root was listed.
                continue
            finds.unread.add(folder)
            finds.refused.append((folder, f"The folder can't be read: {error.strerror}."))
    files = [file for file in finds.files if not finds.unread or file.subject not in finds.unread]
    return FolderScan(
        tuple(sorted(files, key=lambda file: file.path)),
        tuple(finds.folders),
        tuple(finds.refused),
        frozenset(finds.unread),
        finds.staged,
        finds.marker,
    )


def _look_into(root: Path, folder: str, finds: _Finds) -> None:
    with opened_folder(root, folder) as descriptor, os.scandir(descriptor) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith("."):
                _note_hidden(folder, entry, finds)
            elif entry.is_dir(follow_symlinks=False):
                if not folder:
                    _note_folder(entry.name, finds)
                else:
                    finds.refused.append((join(folder, printable(entry.name)), _NESTED))
            elif (suffix := PurePosixPath(entry.name).suffix.lower()) in IMAGE_SUFFIXES:
                _note_photo(folder, entry, finds)
            elif suffix in FOREIGN_SUFFIXES:
                finds.refused.append((join(folder, printable(entry.name)), _FOREIGN))


def _note_hidden(folder: str, entry: os.DirEntry[str], finds: _Finds) -> None:
    finds.staged = finds.staged or entry.name.startswith(STAGED)
    if entry.name == MARKER and not folder:
        status = _status(entry)
        finds.marker = status and stamp_of(status)


def _note_folder(name: str, finds: _Finds) -> None:
    problem = folder_problem(name)
    if problem is None:
        finds.folders.append(name)
    else:
        finds.refused.append((printable(name), problem))


def _note_photo(folder: str, entry: os.DirEntry[str], finds: _Finds) -> None:
    if not entry.is_file(follow_symlinks=False):
        return
    if not is_text(entry.name):
        finds.refused.append((join(folder, printable(entry.name)), _UNNAMEABLE))
        return
    status = _status(entry)
    if status is not None:
        path, subject = join(folder, entry.name), folder or DEFAULT_SUBJECT
        finds.files.append(FolderFile(path, subject, stamp_of(status), status.st_ctime_ns))


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """The status of an entry; None if it is gone since the folder was listed."""
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
