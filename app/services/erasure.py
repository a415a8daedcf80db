"""Erasure: rows, embeddings and files of a person or a reference go, and nothing of them stays.

First goes what training keeps. Then one transaction deletes the rows, embeddings included, notes
the paths as pending removals and logs the deletion. Then the files are deleted and the notes
cleared. After a crash, noted files are deleted, and until then they are not taken for new folder
photos.
"""

import errno
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import PurePosixPath
from typing import Any, Final

from app.domain.audit import Action, Actor, AuditEntry, AuditEvent
from app.domain.errors import ImageNotFoundError, StorageError, SubjectNotFoundError
from app.domain.receipts import KEPT, TRAINED, ErasureReceipt, Removed
from app.domain.subjects import subject_key
from app.services.audit import AuditLog
from app.services.training_traces import TrainingRemoved, TrainingTraces
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
_MODELS: Final = "models"

_AWAY: Final = (
    "Photos of this person are missing from the folder. If they were deleted by hand, try again in "
    "a few seconds. Else put them back, or confirm with `facetwin sync --accept-removals`, then "
    "delete."
)


class Erasure:
    """The only one who deletes references.

    Args:
        database: Migrated.
        files: Of the gallery.
        home: Tells whether the folder is the gallery's.
        fingerprint: Of the bundle in use.
        audit: Where it is logged.
        traces: Erases what training keeps; None where nothing was ever trained.
    """

    def __init__(
        self,
        database: Database,
        files: ReferenceFiles,
        home: GalleryHome,
        fingerprint: str,
        audit: AuditLog,
        *,
        traces: TrainingTraces | None = None,
    ) -> None:
        self._database = database
        self._files = files
        self._home = home
        self._fingerprint = fingerprint
        self._audit = audit
        self._traces = traces

    def subject(self, name: str, actor: Actor) -> ErasureReceipt:
        """Delete a subject, its references and everything in its folder, usable or not.

        Who is known by photos for training alone is erased as well.

        Whoever lost the receipt, or met an error after the rows were gone, asks again: what is left
        is deleted, and the receipt of the last erasure of this name is made anew.

        Raises:
            InvalidRequestError: If the name is not allowed.
            SubjectNotFoundError: If there is none, and none was erased as far as the log goes back.
            JobConflictError: If a training job may hold photos of the subject.
            StorageError: If rows or files can't be deleted.
        """
        key = subject_key(name)
        self._home.check()
        # What was verified before stands before the deletion in the log, unless very much waits.
        self._audit.flush(batches=1)
        self._erase_training(key)
        with self._database.write() as rows:
            trained = self._finish_training(rows, key)
            subject = rows.subject(key)
            if subject is None and trained is None:
                entry = self._erased_before(rows, key)
                paths = {path for path in rows.pending_removals() if belongs_to(key, path)}
            else:
                name = subject.name if subject else name
                entry, paths = self._remove(rows, key, subject, trained, actor)
        emptied = self._erase(paths)
        return self._receipt(name, entry, log_emptied=emptied)

    def _erase_training(self, key: str) -> None:
        """Delete the files that training keeps, while the person can still be found."""
        with self._database.read() as reader:
            subject = reader.subject(key)
            images = reader.images(subject.id, self._fingerprint) if subject else []
        # Who can't be erased in the gallery must not lose half of the rest.
        self._require_files(image.path for image, _ in images)
        if self._traces is not None:
            hashes = {
                digest for image, _ in images for digest in (image.sha256, image.source_sha256)
            }
            pseudonym = self._audit.pseudonym(key)
            self._traces.erase(key, pseudonym, hashes, is_enrolled=subject is not None)

    def _finish_training(self, rows: GalleryWriter, key: str) -> TrainingRemoved | None:
        if self._traces is None:
            return None
        return self._traces.finish(rows.connection, key, self._audit.pseudonym(key))

    def _remove(
        self,
        rows: GalleryWriter,
        key: str,
        subject: SubjectRecord | None,
        trained: TrainingRemoved | None,
        actor: Actor,
    ) -> tuple[AuditEntry, set[str]]:
        """Delete a subject's rows and note its files; of who is not enrolled, the files alone."""
        images = rows.images(subject.id, self._fingerprint) if subject else []
        self._require_files(image.path for image, _ in images)
        paths = {image.path for image, _ in images}.union(self._files.everything_of(key))
        removed = Removed(
            references=len(images),
            embeddings=embedding_count(rows.connection, subject.id) if subject else 0,
            files=sum(self._files.lies_there(p) for p in paths if not is_folder_path(p)),
            training_files=trained.files if trained else 0,
        )
        if subject is not None:
            rows.remove_subject(subject.id)
        rows.forget_files_of(key)
        rows.add_pending_removals(paths)
        details = {**asdict(removed), _MODELS: list(trained.models) if trained else []}
        entry = self._log(rows, Action.DELETE_SUBJECT, key, actor, details)
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
        self,
        rows: GalleryWriter,
        action: Action,
        key: str,
        actor: Actor,
        details: Mapping[str, Any],
    ) -> AuditEntry:
        event = AuditEvent(action, actor, self._audit.pseudonym(key), "deleted", details)
        return self._audit.append(rows.connection, event)

    def _receipt(self, name: str, entry: AuditEntry, *, log_emptied: bool) -> ErasureReceipt:
        """The receipt of an erasure, from its audit entry alone: it can be made again."""
        key = self._audit.key
        # Entries of older versions say nothing of training.
        models = tuple(entry.details.get(_MODELS, ()))
        receipt = ErasureReceipt(
            receipt_id=entry.hash[:32],
            subject=name,
            pseudonym=entry.subject or "",
            erased_at=entry.at,
            removed=Removed(**{count: entry.details.get(count, 0) for count in _COUNTS}),
            log_emptied=log_emptied,
            audit_seq=entry.seq,
            audit_hash=entry.hash,
            kept=(*KEPT, TRAINED) if models else KEPT,
            key_id=key.key_id,
            models=models,
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
