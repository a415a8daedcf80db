"""Durable changes to the folder verification_images."""

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from app.domain.errors import StorageError
from app.storage.cipher import Cipher
from app.storage.folders import ABSENT, lstat, opened_folder, parent_of
from app.storage.layout import (
    FolderLayout,
    draft_path,
    file_errors,
    is_folder_path,
    staged_path,
    stamp_of,
)
from app.storage.records import FileStamp
from app.storage.scan import FolderScan, scan_folder
from app.storage.sealed_photo import SEAL_BYTES, is_sealed, seal, unseal


class ReferenceFiles(FolderLayout):
    """Reads and durably changes the photos under the folder `root`.

    Args:
        root: The folder verification_images.
        cipher: Encrypts what is stored. Encrypted or not, what is read is the photo.
    """

    def __init__(self, root: Path, cipher: Cipher | None = None) -> None:
        super().__init__(root)
        self._cipher = cipher

    def exists(self, path: str) -> bool:
        """Whether the photo is there, under its own name or staged; True if that can't be told."""
        # Staged first: a photo that is published in between is then met under its own name.
        return any(_is_regular(self._root, p) for p in (staged_path(path), path))

    def scan(self) -> FolderScan:
        """List photos and subject folders.

        Raises:
            StorageError: If the folder can't be read; an unmounted disk is not an empty gallery.
        """
        return scan_folder(self._root)

    def stamp(self, path: str) -> FileStamp | None:
        """Size and time of the photo under its own name; None if it is not there or not known."""
        try:
            return stamp_of(lstat(self._root, path))
        except OSError:
            return None

    def read(self, path: str, max_bytes: int) -> tuple[bytes, FileStamp]:
        """Content of a photo and stamp of its file; `max_bytes` + 1 of a plain one at most.

        Raises:
            OSError: If it is gone, is a link, can't be read, or is encrypted and too large.
            UndecryptableError: If it is encrypted and can't be decrypted.
        """
        with self._opened(path) as file:
            stamp = stamp_of(os.fstat(file.fileno()))
            data = file.read(max_bytes + 1 + SEAL_BYTES)
        if not is_sealed(data):
            return data[: max_bytes + 1], stamp
        if len(data) > max_bytes + SEAL_BYTES:
            raise OSError(errno.EFBIG, f"it is larger than {max_bytes} bytes")
        return unseal(self._cipher, data), stamp

    def content(self, path: str) -> bytes:
        """The whole photo.

        Raises:
            OSError: If it is gone, is a link or can't be read.
            UndecryptableError: If it is encrypted and can't be decrypted.
        """
        with self._opened(path) as file:
            return unseal(self._cipher, file.read())

    def head(self, path: str, size: int) -> bytes:
        """The first bytes of a photo's file as they lie on the disk, its staged one if need be.

        Raises:
            OSError: If it is gone, is a link or can't be read.
        """
        try:
            with self._opened(path) as file:
                return file.read(size)
        except FileNotFoundError:
            with self._opened(staged_path(path)) as file:
                return file.read(size)

    def _opened(self, path: str) -> BinaryIO:
        # A pipe in the place of a photo must not block.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with parent_of(self._root, path) as (folder, name):
            file = os.fdopen(os.open(name, flags, dir_fd=folder), "rb")
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError(errno.EINVAL, "it is not a regular file")
        return file

    def stage(self, path: str, data: bytes) -> FileStamp:
        """Write a photo durably under its staged name.

        Raises:
            StorageError: If it can't be written.
        """
        content = seal(self._cipher, data) if self._cipher else data
        with file_errors("The photo can't be stored"):
            self._make_folder(str(PurePosixPath(path).parent))
            with parent_of(self._root, staged_path(path)) as (folder, name):
                stamp = write_durably(name, content, folder=folder)
                os.fsync(folder)
        return stamp

    def publish(self, paths: Iterable[str]) -> None:
        """Give staged photos their own names; those that have theirs already are left.

        Raises:
            StorageError: If one can't be renamed.
        """
        with file_errors("The photo can't be stored"):
            published = []
            for path in paths:
                # Gone: another process has recovered or deleted it meanwhile.
                with suppress(FileNotFoundError), parent_of(self._root, path) as (folder, name):
                    os.replace(staged_path(name), name, src_dir_fd=folder, dst_dir_fd=folder)
                    published.append(path)
            self._sync_folders_of(published)

    def discard_staged(self, paths: Iterable[str]) -> None:
        """Delete staged photos; what can't be deleted now goes at the next start."""
        for path in paths:
            with suppress(OSError):
                self._unlink(staged_path(path))

    def remove(self, paths: Collection[str]) -> dict[str, OSError]:
        """Delete files, and folders if nothing is left in them; what is gone is fine.

        Args:
            paths: Those of folders end with a slash.

        Returns:
            What can't be deleted, and why. A folder that something lies in is not among it.

        Raises:
            StorageError: If the disk does not confirm the deletion of the others.
        """
        failures: dict[str, OSError] = {}
        for path in sorted(paths, key=_removal_order):
            for step in self._removal_steps(path):
                try:
                    step()
                except OSError as error:
                    if error.errno not in ABSENT:
                        failures[path] = error
        with file_errors("The deletion of a photo is not confirmed by the disk"):
            self._sync_folders_of(paths)
        return failures

    def _removal_steps(self, path: str) -> list[Callable[[], None]]:
        if is_folder_path(path):
            return [partial(self._remove_if_empty, path)]
        # Staged first: a photo that is published in between is then met under its own name.
        return [partial(self._unlink, p) for p in (staged_path(path), draft_path(path), path)]

    def _remove_if_empty(self, folder: str) -> None:
        try:
            with parent_of(self._root, folder) as (outer, name):
                os.rmdir(name, dir_fd=outer)
        except OSError as error:
            # What lies in it is new, or has its own reason why it can't be deleted.
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise

    def drop_folder(self, name: str) -> None:
        """Delete a subject's folder if nothing is left in it."""
        with suppress(OSError):
            self._remove_if_empty(name)

    def _make_folder(self, folder: str) -> None:
        """Make a subject's folder in the root; what is there must not be a link."""
        with opened_folder(self._root) as root:
            try:
                if stat.S_ISLNK(os.stat(folder, dir_fd=root, follow_symlinks=False).st_mode):
                    raise StorageError(
                        "The subject's folder is a symbolic link. Replace it by a folder."
                    )
            except FileNotFoundError:
                os.mkdir(folder, 0o700, dir_fd=root)
                os.fsync(root)

    def _unlink(self, path: str) -> None:
        with parent_of(self._root, path) as (folder, name):
            os.unlink(name, dir_fd=folder)

    def _sync_folders_of(self, paths: Iterable[str]) -> None:
        """Make changes in the folders of these paths durable; one that is gone needs nothing."""
        for folder in {str(PurePosixPath(path).parent) for path in paths}:
            try:
                with opened_folder(self._root, folder) as descriptor:
                    os.fsync(descriptor)
            except OSError as error:
                if error.errno not in ABSENT:
                    raise


def _removal_order(path: str) -> tuple[bool, int]:
    """Files first, then folders, the inner ones before those around them."""
    return is_folder_path(path), -path.count("/")


def _is_regular(root: Path, path: str) -> bool:
    try:
        return stat.S_ISREG(lstat(root, path).st_mode)
    except OSError as error:
        return error.errno not in ABSENT


def write_durably(place: str | Path, data: bytes, *, folder: int | None = None) -> FileStamp:
    """Write a new file whose content survives a power cut; its folder is still to be synced.

    Args:
        place: Where; a name in `folder`, if that is given.
        data: The content.
        folder: Descriptor of an opened folder.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    # A face photo is for the service alone, whatever the umask.
    with os.fdopen(os.open(place, flags, 0o600, dir_fd=folder), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        return stamp_of(os.fstat(file.fileno()))


def sync_folder(folder: Path) -> None:
    """Make what was created, renamed or deleted in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
