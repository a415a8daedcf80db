"""Puts another form of a photo in its place: encrypted, under another key, or plain again.

The new file is written under a hidden name, made durable and renamed over the old one, so that a
crash leaves one or the other whole. Nor is a file replaced that another program
has open: a copy that stalls would write its rest into a file that has no name any more. The time of
the old file is not kept: a backup that compares sizes and times must see that it is another one.
"""

import os
from contextlib import suppress

from app.domain.errors import StorageError
from app.storage.cipher import Cipher
from app.storage.files import ReferenceFiles, write_durably
from app.storage.folders import parent_of
from app.storage.layout import draft_path, file_errors, stamp_of
from app.storage.leases import unused
from app.storage.records import FileStamp
from app.storage.sealed_photo import HEADER_BYTES, seal, sealing_key

_Identity = tuple[int, int, FileStamp]


class PhotoRewriter:
    """Rewrites photos of `files`, within write transactions, which keep other processes out.

    Args:
        files: Reads photos under every key at hand.
        target: What photos are to be encrypted with; None for plain photos.
    """

    def __init__(self, files: ReferenceFiles, target: Cipher | None) -> None:
        self._files = files
        self._root = files.location("")
        self._target = target
        self.target_key = target.key_id if target else None

    def key_of(self, path: str) -> str | None:
        """Id of the key that a photo is encrypted with; None for a plain one.

        Raises:
            OSError: If it is gone, is a link or can't be read.
            UndecryptableError: If its head is not understood.
        """
        return sealing_key(self._files.head(path, HEADER_BYTES))

    def rewrite(self, path: str, expected: FileStamp) -> FileStamp | None:
        """Bring one photo into the form of the target.

        Returns:
            The stamp of the new file; None if the photo is not the one of the stamp `expected`
            (any more), in which case it is left alone.

        Raises:
            StorageError: If it can't be decrypted or written, or is in use; then it is as it was.
        """
        with (
            file_errors("The photo can't be encrypted or decrypted in its place"),
            suppress(FileNotFoundError),
            parent_of(self._root, path) as (folder, name),
        ):
            before = _identity(folder, name)
            content, stamp = self._files.read(path, expected.size)
            if stamp == expected:
                return self._replace(folder, name, before, content)
        return None

    def discard_drafts(self) -> None:
        """Delete what a crash left half written; the photos themselves are in their places."""
        for draft in self._files.drafts():
            with suppress(OSError):
                draft.unlink()

    def _replace(
        self, folder: int, name: str, before: _Identity, content: bytes
    ) -> FileStamp | None:
        draft = draft_path(name)
        data = seal(self._target, content) if self._target else content
        with suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=folder)
        try:
            stamp = write_durably(draft, data, folder=folder)
            with unused(folder, name):
                # A change that came since is the newer photo; it is taken up as such.
                if _identity(folder, name) != before:
                    os.unlink(draft, dir_fd=folder)
                    return None
                os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        except (OSError, StorageError):
            with suppress(OSError):
                os.unlink(draft, dir_fd=folder)
            raise
        os.fsync(folder)
        return stamp


def _identity(folder: int, name: str) -> _Identity:
    """More than a stamp: a file with a copied time must not pass for the old one."""
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    return status.st_ino, status.st_ctime_ns, stamp_of(status)
