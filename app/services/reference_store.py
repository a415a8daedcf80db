"""Adds and removes references so that rows and files agree after a crash at any point.

Rows and files can't change in one step, so the commit of the rows is the point at which a change
holds, and each file step can be finished or undone from what is on the disk:

* Adding: within the write transaction each photo is written durably under a hidden staged name and
  its rows are added. The commit makes it a reference. Then the files get their own names. After a
  crash, a staged file whose rows exist gets its name, one without rows is deleted.
* Removing: see `erasure`.

Staging, finishing and deleting happen inside write transactions, which exclude each other across
processes, so no process takes the half-done work of another for the remains of a crash.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from app.domain.audit import Action, Actor, AuditEvent
from app.domain.clock import utc_now
from app.domain.entities import FacePolicy, Reason
from app.domain.errors import StorageError
from app.domain.subjects import subject_key
from app.services.audit import AuditLog
from app.services.erasure import Erasure, folders_of
from app.storage.database import Database
from app.storage.files import ReferenceFiles
from app.storage.gallery_writer import GalleryWriter
from app.storage.home import GalleryHome
from app.storage.records import EmbeddingRecord, ImageRecord, SkippedRecord, SubjectRecord


@dataclass(frozen=True, slots=True)
class NewPhoto:
    """A photo that can become a reference.

    Attributes:
        data: What is stored, which is what was embedded.
        sha256: Of `data`.
        source_sha256: Of the bytes that were sent.
        elsewhere: What another bundle makes of it, by fingerprint: an embedding, or reasons why
            there is none.
    """

    data: bytes
    sha256: str
    source_sha256: str
    face_policy: FacePolicy
    embedding: EmbeddingRecord
    elsewhere: Mapping[str, EmbeddingRecord | tuple[Reason, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a photo: `image_id` is its own, or that of the reference it repeats."""

    image_id: str
    duplicate: bool


@dataclass(slots=True)
class _Addition:
    """What has been begun, for whoever has to undo it."""

    paths: dict[str, str] = field(default_factory=dict)
    new_subject: int | None = None


class ReferenceStore:
    """The only writer of uploaded references."""

    def __init__(
        self,
        database: Database,
        files: ReferenceFiles,
        fingerprint: str,
        erasure: Erasure,
        audit: AuditLog,
        *,
        home: GalleryHome,
    ) -> None:
        self._database = database
        self._files = files
        self._home = home
        self._fingerprint = fingerprint
        self._erasure = erasure
        self._audit = audit

    def add(self, name: str, photos: Sequence[NewPhoto], actor: Actor) -> list[Stored]:
        """Store photos as references of a subject, all of them or none; duplicates are left out.

        Raises:
            StorageError: If they can't be stored; then nothing is changed.
        """
        self._home.check()
        begun = _Addition()
        try:
            with self._database.write() as rows:
                outcome = self._add_rows(rows, name, photos, begun)
                if begun.paths:
                    self._log(rows, name, actor, "enrolled", len(begun.paths))
        except StorageError:
            self._discard(begun)
            raise
        try:
            self._files.publish(begun.paths.values())
        except StorageError:
            self._withdraw(begun, name, actor)
            raise
        return outcome

    def recover(self) -> dict[str, str]:
        """Finish or undo what a crash left half done.

        Returns:
            Paths of photos that can't get their names now, and why.

        Raises:
            StorageError: If the database can't be used or the folder can't be listed.
        """
        # A file that can't be deleted must not keep the service down; it stays noted.
        self._erasure.finish()
        if not self._files.staged():
            return {}
        with self._database.write() as rows:
            staged = self._files.staged()
            known = rows.known_paths(staged)
            orphans = [path for path in staged if path not in known]
            failures = self._publish(known)
            self._files.discard_staged(orphans)
            self._erasure.drop_folders(rows, orphans)
        return failures

    def _publish(self, paths: Iterable[str]) -> dict[str, str]:
        """Give each photo its name, whatever becomes of the others."""
        failures: dict[str, str] = {}
        for path in paths:
            try:
                self._files.publish([path])
            except StorageError as error:
                failures[path] = error.message
        return failures

    def _add_rows(
        self, rows: GalleryWriter, name: str, photos: Sequence[NewPhoto], begun: _Addition
    ) -> list[Stored]:
        """Stage files and add rows, noting each in `begun` before it is done."""
        key = subject_key(name)
        subject = rows.subject(key)
        outcome: list[Stored] = []
        for photo in photos:
            twin = subject and rows.twin(subject.id, (photo.sha256, photo.source_sha256))
            if twin:
                outcome.append(Stored(twin.image_id, duplicate=True))
                continue
            if subject is None:
                subject = rows.add_subject(name, key, utc_now())
                begun.new_subject = subject.id
            image_id = uuid4().hex
            begun.paths[image_id] = path = self._path(subject.name, image_id)
            self._add_row(rows, subject, image_id, path, photo)
            outcome.append(Stored(image_id, duplicate=False))
        return outcome

    def _add_row(
        self,
        rows: GalleryWriter,
        subject: SubjectRecord,
        image_id: str,
        path: str,
        photo: NewPhoto,
    ) -> None:
        image = ImageRecord(
            image_id=image_id,
            path=path,
            sha256=photo.sha256,
            source_sha256=photo.source_sha256,
            stamp=self._files.stage(path, photo.data),
            source="upload",
            face_policy=photo.face_policy,
            created_at=utc_now(),
        )
        rows.add_image(subject.id, image)
        rows.put_embedding(image_id, self._fingerprint, photo.embedding)
        for fingerprint, found in photo.elsewhere.items():
            if isinstance(found, EmbeddingRecord):
                rows.put_embedding(image_id, fingerprint, found)
            else:
                rows.put_skipped(SkippedRecord(path, fingerprint, photo.sha256, image.stamp, found))

    def _discard(self, begun: _Addition) -> None:
        """Delete staged files whose rows were not committed."""
        self._files.discard_staged(begun.paths.values())
        if begun.new_subject is not None:
            for folder in folders_of(begun.paths.values()):
                self._files.drop_folder(folder)

    def _withdraw(self, begun: _Addition, name: str, actor: Actor) -> None:
        """Take back committed rows whose files did not get their names."""
        with self._database.write() as rows:
            self._log(rows, name, actor, "withdrawn", len(begun.paths))
            for image_id in begun.paths:
                rows.remove_image(image_id)
            rows.add_pending_removals(begun.paths.values())
            if begun.new_subject is not None and begun.new_subject not in rows.counts():
                rows.remove_subject(begun.new_subject)
        self._erasure.finish()

    def _log(self, rows: GalleryWriter, name: str, actor: Actor, outcome: str, count: int) -> None:
        subject = self._audit.pseudonym(subject_key(name))
        event = AuditEvent(Action.ENROLL, actor, subject, outcome, {"references": count})
        self._audit.append(rows.connection, event)

    def _path(self, subject: str, image_id: str) -> str:
        folder = self._files.folder_for(subject)
        return f"{folder}/{image_id}.jpg" if folder else f"{image_id}.jpg"
