"""Durable changes to the folder verification_images."""

import os
import stat
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from app.domain.errors import StorageError
from app.storage.layout import FolderLayout, file_errors, staged_path, stamp_of
from app.storage.records import FileStamp


class ReferenceFiles(FolderLayout):
    """Reads and durably changes the photos under the folder `root`."""

    def exists(self, path: str) -> bool:
        """Whether the photo is there, under its own name or staged."""
        return any(_is_regular(self._root / p) for p in (path, staged_path(path)))

    def read(self, path: str, max_bytes: int) -> tuple[bytes, FileStamp]:
        """Content and stamp of a photo; one byte more than `max_bytes` is read at most.

        Raises:
            OSError: If it is gone, is a link or can't be read.
        """
        descriptor = os.open(self._root / path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            stamp = stamp_of(os.fstat(file.fileno()))
            return file.read(max_bytes + 1), stamp

    def stage(self, path: str, data: bytes) -> FileStamp:
        """Write a photo durably under its staged name.

        Raises:
            StorageError: If it can't be written.
        """
        staged = self._root / staged_path(path)
        with file_errors("The photo can't be stored"):
            self._make_folder(staged.parent)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            # A face photo is for the service alone, whatever the umask.
            with os.fdopen(os.open(staged, flags, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                stamp = stamp_of(os.fstat(file.fileno()))
            _sync_folder(staged.parent)
        return stamp

    def publish(self, paths: Iterable[str]) -> None:
        """Give staged photos their own names; those that have theirs already are left.

        Raises:
            StorageError: If one can't be renamed.
        """
        with file_errors("The photo can't be stored"):
            folders = set()
            for path in paths:
                # Gone: another process has recovered or deleted it meanwhile.
                with suppress(FileNotFoundError):
                    (self._root / staged_path(path)).replace(self._root / path)
                    folders.add((self._root / path).parent)
            for folder in folders:
                _sync_folder(folder)

    def discard_staged(self, paths: Iterable[str]) -> None:
        """Delete staged photos; what can't be deleted now goes at the next start."""
        for path in paths:
            with suppress(OSError):
                (self._root / staged_path(path)).unlink()

    def remove(self, paths: Collection[str]) -> dict[str, OSError]:
        """Delete photos; those that are gone are fine.

        Returns:
            What can't be deleted, and why.

        Raises:
            StorageError: If the disk does not confirm the deletion of the others.
        """
        failures: dict[str, OSError] = {}
        for path in paths:
            # Staged first: a photo that is published in between is then met under its own name.
            for name in (staged_path(path), path):
                try:
                    (self._root / name).unlink(missing_ok=True)
                except NotADirectoryError:
                    continue
                except OSError as error:
                    failures[path] = error
        with file_errors("The deletion of a photo is not confirmed by the disk"):
            for folder in {(self._root / path).parent for path in paths}:
                if folder.is_dir():
                    _sync_folder(folder)
        return failures

    def drop_folder(self, name: str) -> None:
        """Delete a subject's folder if nothing is left in it."""
        with suppress(OSError):
            (self._root / name).rmdir()

    def _make_folder(self, folder: Path) -> None:
        if folder != self._root and not folder.is_dir():
            folder.mkdir()
            _sync_folder(self._root)
        if folder != self._root and folder.is_symlink():
            raise StorageError("The subject's folder is a symbolic link. Replace it by a folder.")


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
