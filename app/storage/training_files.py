"""The folders of training photos: uploads come in whole, and leave with what was made of them.

A photo is `<role>/<name>/<start of its sha256>.jpg`, or lies in the folder of the role itself. Its
owner may put other files beside it, in folders of any depth. Links are not followed, but a role's
folder itself may be one.
"""

import errno
import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final
from uuid import uuid4

from app.domain.crops import crop_folder, is_crop_of
from app.domain.training import Role
from app.domain.training_photos import RoleSize, has_training_suffix
from app.storage.files import write_durably
from app.storage.folders import ABSENT, Entry, list_folder, lstat, opened_folder, parent_of
from app.storage.layout import STAGED, file_errors, join

_ABANDONED_SECONDS: Final = 3600
"""No request takes that long to write its photos."""


class TrainingFiles:
    """Reads and durably changes a role's folder.

    Args:
        data_dir: The folder of the three.
        role: Which of them.
    """

    def __init__(self, data_dir: Path, role: Role) -> None:
        self._root = data_dir / role.value

    def folders_of(self, name: str) -> list[str]:
        """The folders of a person, in every spelling.

        Raises:
            StorageError: If the role's folder can't be read.
        """
        with file_errors("The folder of training photos can't be read"):
            known = [e.name for e in _entries(self._root, "") if e.is_folder]
        return [folder for folder in known if folder.casefold() == name.casefold()]

    def folder_for(self, name: str) -> str:
        """The folder that photos of a person go to: one that exists, else `name`.

        Raises:
            StorageError: If the role's folder can't be read.
        """
        known = self.folders_of(name)
        return name if name in known or not known else known[0]

    def has(self, path: str) -> bool:
        """Whether something has this path."""
        try:
            lstat(self._root, path)
        except OSError:
            return False
        return True

    def add(self, folder: str, photos: Sequence[tuple[str, bytes]]) -> None:
        """Store photos, given by file name and content, in a folder.

        All are written before the first is seen, so a disk that is full leaves none of them. One
        that is there already, as another request just stored it, is replaced by its like.

        Raises:
            StorageError: If they can't be stored, for example because the disk is full.
        """
        drafts: list[tuple[str, str]] = []
        with file_errors("The training photos can't be stored"):
            self._root.mkdir(parents=True, exist_ok=True)
            self._make_folder(folder)
            with opened_folder(self._root, folder) as place:
                _discard_abandoned(place)
                try:
                    for name, data in photos:
                        drafts.append((f"{STAGED}{uuid4().hex}", name))
                        write_durably(drafts[-1][0], data, folder=place)
                    for draft, name in drafts:
                        os.replace(draft, name, src_dir_fd=place, dst_dir_fd=place)
                    os.fsync(place)
                except BaseException:
                    for draft, _name in drafts:
                        with suppress(OSError):
                            os.unlink(draft, dir_fd=place)
                    raise

    def size(self) -> RoleSize:
        """Count photos.

        Raises:
            StorageError: If the folder can't be read.
        """
        photos, size, loose, folders = 0, 0, 0, set()
        with file_errors("The folder of training photos can't be read"):
            for path in _photos(self._files("")):
                with suppress(FileNotFoundError):
                    size += lstat(self._root, path).st_size
                    photos += 1
                    first, _, inside = path.partition("/")
                    loose += not inside
                    folders |= {first} if inside else set()
        return RoleSize(photos, size, len(folders), loose)

    def remove(self, folder: str | None, crops_dir: Path) -> int:
        """Delete a folder of the role with all that lies in it, or all folders and photos.

        Files in the role's own folder that are no photos stay, and so do hidden folders there.

        Args:
            folder: Directly below the role's; None for everything.
            crops_dir: Cache of crops, from which those of deleted photos go first.

        Returns:
            How many photos were deleted.

        Raises:
            StorageError: If something can't be deleted; asking again goes on with the rest.
        """
        with file_errors("The training photos can't be deleted"):
            files, folders = self._files(folder or ""), list(self._folders(folder or ""))
            photos = list(_photos(files))
            self._forget_crops(photos, crops_dir)
            for file in files:
                if "/" in file.path or file.is_photo or file.name.startswith(STAGED):
                    self._remove(file.path, os.unlink)
            for inner in sorted(folders, key=len, reverse=True):
                self._remove(inner, os.rmdir)
            if folder is not None:
                self._remove(folder, os.rmdir)
            self._sync()
        return len(photos)

    def _files(self, folder: str) -> list["_File"]:
        """All that is no folder in a folder and below it."""
        places = [folder, *self._folders(folder)]
        return [
            _File(join(place, entry.name), entry.is_file)
            for place in places
            for entry in _entries(self._root, place)
            if not entry.is_folder
        ]

    def _folders(self, folder: str) -> Iterator[str]:
        """All folders below a folder, but hidden ones in that of the role."""
        waiting = [folder]
        while waiting:
            place = waiting.pop()
            for entry in _entries(self._root, place):
                if entry.is_folder and (place or not entry.name.startswith(".")):
                    waiting.append(join(place, entry.name))
                    yield waiting[-1]

    def _forget_crops(self, photos: Sequence[str], crops_dir: Path) -> None:
        by_folder: dict[str, set[str]] = {}
        for path in photos:
            with suppress(FileNotFoundError):
                digest = self._sha256(path)
                by_folder.setdefault(crop_folder(digest), set()).add(digest)
        for folder, digests in by_folder.items():
            _delete_crops(crops_dir / folder, digests)

    def _sha256(self, path: str) -> str:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with parent_of(self._root, path) as (folder, name):
            descriptor = os.open(name, flags, dir_fd=folder)
        with os.fdopen(descriptor, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _make_folder(self, folder: str) -> None:
        if not folder:
            return
        with opened_folder(self._root) as root:
            with suppress(FileExistsError):
                os.mkdir(folder, 0o700, dir_fd=root)
            os.fsync(root)

    def _remove(self, path: str, remove: Callable[..., None]) -> None:
        try:
            with parent_of(self._root, path) as (folder, name):
                remove(name, dir_fd=folder)
        except OSError as error:
            # Gone already; or a folder into which someone has put something meanwhile.
            if error.errno not in ABSENT | {errno.ENOTEMPTY, errno.EEXIST}:
                raise

    def _sync(self) -> None:
        with suppress(FileNotFoundError), opened_folder(self._root) as root:
            os.fsync(root)


@dataclass(frozen=True, slots=True)
class _File:
    """Something that is no folder; a link is not regular."""

    path: str
    is_regular: bool

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def is_photo(self) -> bool:
        """Whether training would look at it."""
        hidden = any(part.startswith(".") for part in self.path.split("/"))
        return self.is_regular and not hidden and has_training_suffix(self.name)


def _photos(files: Sequence[_File]) -> Iterator[str]:
    return (file.path for file in files if file.is_photo)


def _entries(root: Path, folder: str) -> list[Entry]:
    """What lies in a folder; nothing if it is not there."""
    try:
        return list_folder(root, folder)
    except OSError as error:
        if error.errno not in ABSENT:
            raise
        return []


def _discard_abandoned(place: int) -> None:
    """Delete what a process left that ended while it wrote photos."""
    with os.scandir(place) as entries:
        drafts = [entry.name for entry in entries if entry.name.startswith(STAGED)]
    for name in drafts:
        # Gone: the other request has published it.
        with suppress(OSError):
            age = time.time() - os.stat(name, dir_fd=place, follow_symlinks=False).st_mtime
            if age > _ABANDONED_SECONDS:
                os.unlink(name, dir_fd=place)


def _delete_crops(folder: Path, photos: Collection[str]) -> None:
    if not folder.is_dir():
        return
    for entry in list(folder.iterdir()):
        if any(is_crop_of(photo, entry.name) for photo in photos):
            entry.unlink(missing_ok=True)
