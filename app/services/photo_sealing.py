"""Brings the photos of the folder into the form that the gallery's key asks for.

Photos that were put there by hand are plain until the synchronisation has looked at them; those
under an older key stay readable until they are rewritten. Of the plain ones only those are
rewritten that stood still and were understood: another may be a copy that is still under way.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from app.domain.errors import StorageError
from app.storage.cipher import Cipher, UndecryptableError
from app.storage.database import Database
from app.storage.encryption_rows import EncryptionRows, require_registered
from app.storage.files import ReferenceFiles
from app.storage.photo_rewriter import PhotoRewriter
from app.storage.records import FileStamp

_BATCH: Final = 16
"""Photos in one transaction; other writers wait meanwhile."""
_STEP: Final = 1024
"""Photos between two lines in the log."""
_log = logging.getLogger("facetwin.encryption")


class PhotoSealing:
    """Rewrites photos in place; used by one thread at a time.

    Args:
        database: Where their stamps are noted.
        files: Reads photos under every key at hand.
        target: What photos are to be encrypted with; None for plain photos.
    """

    def __init__(self, database: Database, files: ReferenceFiles, target: Cipher | None) -> None:
        self._database = database
        self._files = files
        self._rewriter = PhotoRewriter(files, target)
        self._waiting: dict[str, FileStamp] = {}
        self._looked_at_all = False
        self._failed = 0

    def note(self, path: str, stamp: FileStamp) -> None:
        """Tell of a photo that stood still, was read and was understood; it may be plain."""
        self._waiting[path] = stamp

    def run(self, stopping: Callable[[], bool] = lambda: False) -> int:
        """Rewrite what has another form, the first time in the whole folder.

        A photo that can't be written waits for the next call; the log tells how many do.

        Args:
            stopping: Asked now and then; what is left waits for the next call.

        Returns:
            How many photos wait for the next call.

        Raises:
            StorageError: If the folder or the database can't be used.
        """
        if not self._looked_at_all:
            self._discard_drafts()
            self._waiting |= self._outdated()
            self._looked_at_all = True
        self._waiting = {p: s for p, s in self._waiting.items() if self._has_other_form(p)}
        ready = list(self._waiting)
        done = failed = 0
        for start in range(0, len(ready), _BATCH):
            if stopping():
                break
            outcome = self._rewrite(ready[start : start + _BATCH])
            done += outcome[0]
            failed += outcome[1]
            if start and start % _STEP == 0:
                _log.info("%d of %d photos have their new form", start, len(ready))
        self._report(done, failed)
        return len(self._waiting)

    def _report(self, done: int, failed: int) -> None:
        if done:
            _log.info("%d photos were encrypted or decrypted in the folder", done)
        if failed and failed != self._failed:
            _log.warning("%d photos can't be rewritten in the folder; they stay in use", failed)
        self._failed = failed

    def _discard_drafts(self) -> None:
        if self._files.drafts():
            with self._database.write_apart():
                self._rewriter.discard_drafts()

    def _outdated(self) -> dict[str, FileStamp]:
        """Photos in another form: encrypted ones, and plain ones that were understood."""
        with self._database.read_apart() as connection:
            known = EncryptionRows(connection).known_stamps()
        found = {}
        for file in self._files.scan().files:
            try:
                key_id = self._rewriter.key_of(file.path)
            except (OSError, UndecryptableError):
                continue
            if key_id is not None or known.get(file.path) == file.stamp:
                found[file.path] = file.stamp
        return found

    def _has_other_form(self, path: str) -> bool:
        """Whether a photo is to be rewritten; one that is gone or under a foreign key is not."""
        try:
            key_id = self._rewriter.key_of(path)
        except (OSError, UndecryptableError):
            return False
        at_hand = self._database.cipher.key_ids if self._database.cipher else frozenset()
        return key_id != self._rewriter.target_key and (key_id is None or key_id in at_hand)

    def _rewrite(self, paths: Sequence[str]) -> tuple[int, int]:
        """Rewrite photos within one transaction; returns how many were, and how many can't be."""
        done = failed = 0
        with self._database.write_apart() as connection:
            if self._rewriter.target_key is not None:
                require_registered(connection, self._rewriter.target_key)
            rows = EncryptionRows(connection)
            for path in paths:
                stamp = self._waiting[path]
                try:
                    new = self._rewriter.rewrite(path, stamp)
                except UndecryptableError:
                    failed += 1
                except StorageError:
                    failed += 1
                    continue
                else:
                    if new is not None:
                        rows.restamp(path, stamp, new)
                        done += 1
                del self._waiting[path]
        return done, failed
