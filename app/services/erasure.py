"""Erasure: rows, embeddings and files of a person or a reference go, and nothing of them stays.

One transaction deletes the rows, embeddings included, notes the paths as pending removals and logs
the deletion. Then the files are deleted and the notes cleared. After a crash, noted files are
deleted, and until then they are not taken for new folder photos.
"""

import errno
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, fields, replace
from pathlib import PurePosixPath
from typing import Final

from app.domain.audit import Action, Actor, AuditEntry, AuditEvent
from app.domain.errors import ImageNotFoundError, StorageError, SubjectNotFoundError
from app.domain.receipts import KEPT, ErasureReceipt, Removed
from app.domain.subjects import subject_key
from app.services.audit import AuditLog
from app.storage.audit_rows import AuditRows
from app.storage.database import Database
from app.storage.files import ReferenceFiles
from app.storage.gallery_writer import GalleryWriter
from app.storage.home import GalleryHome, Owner
from app.storage.layout import belongs_to, file_errors, is_folder_path
from app.storage.person_rows import embedding_count
from app.storage.records import SubjectRecord
from app.storage.repositories import GalleryReader

_COUNTS: Final = tuple(count.name for count in fields(Removed))

_AWAY: Final = (
    "Photos of this person are missing from the folder. If they were deleted by hand, try again in "
    "a few seconds. Else put them back, or confirm with `facetwin sync --accept-removals`, then "
    "delete."
)


class Erasure:
    """The only one who deletes references."""

    def __init__(
        self,
        database: Database,
        files: ReferenceFiles,
        home: GalleryHome,
        fingerprint: str,
        audit: AuditLog,
    ) -> None:
        self._database = database
        self._files = files
        self._home = home
        self._fingerprint = fingerprint
        self._audit = audit

    def subject(self, name: str, actor: Actor) -> ErasureReceipt:
        """Delete a subject, its references and everything in its folder, usable or not.

        Whoever lost the receipt, or met an error after the rows were gone, asks again: what is left
        is deleted, and the receipt of the last erasure of this name is made anew.

        Raises:
            InvalidRequestError: If the name is not allowed.
            SubjectNotFoundError: If there is none, and none was erased as far as the log goes back.
            StorageError: If rows or files can't be deleted.
        """
        key = subject_key(name)
        self._home.check()
        # What was verified before stands before the deletion in the log, unless very much waits.
        self._audit.flush(batches=1)
        with self._database.write() as rows:
            subject = rows.subject(key)
            if subject is None:
                entry = self._erased_before(rows, key)
                paths = {path for path in rows.pending_removals() if belongs_to(key, path)}
            else:
                name = subject.name
                entry, paths = self._remove(rows, subject, actor)
        emptied = self._erase(paths)
        return self._receipt(name, entry, log_emptied=emptied)

    def _remove(
        self, rows: GalleryWriter, subject: SubjectRecord, actor: Actor
    ) -> tuple[AuditEntry, set[str]]:
        """Delete a subject's rows and note its files."""
        images = rows.images(subject.id, self._fingerprint)
        self._require_files(image.path for image, _ in images)
        paths = {image.path for image, _ in images}.union(self._files.everything_of(subject.key))
        removed = Removed(
            references=len(images),
            embeddings=embedding_count(rows.connection, subject.id),
            files=sum(self._files.lies_there(p) for p in paths if not is_folder_path(p)),
        )
        rows.remove_subject(subject.id)
        rows.forget_files_of(subject.key)
        rows.add_pending_removals(paths)
        entry = self._log(rows, Action.DELETE_SUBJECT, subject.key, actor, asdict(removed))
        return entry, paths

    def _erased_before(self, rows: GalleryWriter, key: str) -> AuditEntry:
        pseudonym = self._audit.pseudonym(key)
        entry = AuditRows(rows.connection).last_about(pseudonym, Action.DELETE_SUBJECT)
        if entry is None:
            raise no_subject()
        return entry

    def image(self, key: str, image_id: str, actor: Actor) -> None:
        """Delete one reference of a subject with its file.

        Raises:
            SubjectNotFoundError, ImageNotFoundError: If there is none.
            StorageError: If its row or file can't be deleted.
        """
        self._home.check()
        with self._database.write() as rows:
            subject = existing(rows, key)
            images = rows.images(subject.id, self._fingerprint)
            path = next((image.path for image, _ in images if image.image_id == image_id), None)
            if path is None:
                raise ImageNotFoundError(f"{subject.name} has no reference with this image_id.")
            self._require_files([path])
            rows.remove_image(image_id)
            rows.remove_skipped([path])
            rows.add_pending_removals([path])
            self._log(rows, Action.DELETE_IMAGE, key, actor, {})
        self._erase({path})

    def finish(self) -> dict[str, OSError]:
        """Delete files whose rows are gone already; returns what can't be deleted.

        Raises:
            StorageError: If the database can't be used.
        """
        with self._database.read() as reader:
            if not reader.pending_removals():
                return {}
        with self._database.write() as rows:
            paths = rows.pending_removals()
            if self._home.owner() is not Owner.OURS:
                # What is not found on the wrong disk is still there on the right one.
                return dict.fromkeys(paths, OSError(errno.ENODEV, "its disk is not mounted"))
            failures = self._files.remove(paths)
            self.drop_folders(rows, paths)
            rows.clear_pending_removals(path for path in paths if path not in failures)
        return failures

    def drop_folders(self, rows: GalleryWriter, paths: Sequence[str]) -> None:
        """Delete the empty folders of subjects that do not exist (any more)."""
        for folder in sorted(folders_of(paths), key=len, reverse=True):
            if rows.subject(PurePosixPath(folder).parts[0].casefold()) is None:
                self._files.drop_folder(folder)

    def _erase(self, paths: Collection[str]) -> bool:
        """Delete the files of rows that are gone, and the rows' remains in the database's log.

        Returns:
            Whether the log could be emptied at once.
        """
        try:
            failures = self.finish()
        finally:
            emptied = self._database.erase_traces()
        for path in failures.keys() & paths:
            with file_errors("A photo can't be deleted from the disk; the next start tries again"):
                raise failures[path]
        return emptied

    def _require_files(self, paths: Iterable[str]) -> None:
        """Refuse to erase photos that lie elsewhere: they would come back with their disk."""
        if not all(self._files.exists(path) for path in paths):
            raise StorageError(_AWAY)

    def _log(
        self, rows: GalleryWriter, action: Action, key: str, actor: Actor, counts: dict[str, int]
    ) -> AuditEntry:
        event = AuditEvent(action, actor, self._audit.pseudonym(key), "deleted", counts)
        return self._audit.append(rows.connection, event)

    def _receipt(self, name: str, entry: AuditEntry, *, log_emptied: bool) -> ErasureReceipt:
        """The receipt of an erasure, from its audit entry alone: it can be made again."""
        key = self._audit.key
        receipt = ErasureReceipt(
            receipt_id=entry.hash[:32],
            subject=name,
            pseudonym=entry.subject or "",
            erased_at=entry.at,
            removed=Removed(**{count: entry.details[count] for count in _COUNTS}),
            log_emptied=log_emptied,
            audit_seq=entry.seq,
            audit_hash=entry.hash,
            kept=KEPT,
            key_id=key.key_id,
        )
        return replace(receipt, signature=receipt.signed(key))


def folders_of(paths: Collection[str]) -> set[str]:
    """The folders of these photos, and the folders around those, the root left out."""
    return {str(folder) for path in paths for folder in PurePosixPath(path).parents} - {"."}


def existing(rows: GalleryReader, key: str) -> SubjectRecord:
    """The subject of this key.

    Raises:
        SubjectNotFoundError: If there is none.
    """
    subject = rows.subject(key)
    if subject is None:
        raise no_subject()
    return subject


def no_subject() -> SubjectNotFoundError:
    """The error for a name that nobody has."""
    return SubjectNotFoundError("No subject of this name exists.")
