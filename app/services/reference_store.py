"""Adds and removes references so that rows and files agree after a crash at any point.

Rows and files can't change in one step, so the commit of the rows is the point at which a change
holds, and each file step can be finished or undone from what is on the disk:

* Adding: within the write transaction each photo is written durably under a hidden staged name and
  its rows are added. The commit makes it a reference. Then the files get their own names. After a
  crash, a staged file whose rows exist gets its name, one without rows is deleted.
* Removing: one transaction deletes the rows, embeddings included, and notes the paths as pending
  removals. Then the files are deleted and the notes cleared. After a crash, noted files are
  deleted, and until then they are not taken for new folder photos.

Staging, finishing and deleting happen inside write transactions, which exclude each other across
processes, so no process takes the half-done work of another for the remains of a crash.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from uuid import uuid4

from app.domain.entities import FacePolicy
from app.domain.errors import ImageNotFoundError, StorageError, SubjectNotFoundError
from app.domain.subjects import subject_key
from app.storage.database import Database
from app.storage.files import ReferenceFiles
from app.storage.gallery_writer import GalleryWriter
from app.storage.layout import file_errors
from app.storage.records import EmbeddingRecord, ImageRecord, SubjectRecord


@dataclass(frozen=True, slots=True)
class NewPhoto:
    """A photo that can become a reference.

    Attributes:
        data: What is stored, which is what was embedded.
        sha256: Of `data`.
        source_sha256: Of the bytes that were sent.
    """

    data: bytes
    sha256: str
    source_sha256: str
    face_policy: FacePolicy
    embedding: EmbeddingRecord


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

    def __init__(self, database: Database, files: ReferenceFiles, fingerprint: str) -> None:
        self._database = database
        self._files = files
        self._fingerprint = fingerprint

    def add(self, name: str, photos: Sequence[NewPhoto]) -> list[Stored]:
        """Store photos as references of a subject, all of them or none; duplicates are left out.

        Raises:
            StorageError: If they can't be stored; then nothing is changed.
        """
        begun = _Addition()
        try:
            with self._database.write() as rows:
                outcome = self._add_rows(rows, name, photos, begun)
        except StorageError:
            self._discard(begun)
            raise
        try:
            self._files.publish(begun.paths.values())
        except StorageError:
            self._withdraw(begun)
            raise
        return outcome

    def remove_subject(self, key: str) -> int:
        """Delete a subject, its references and every photo in its folder, usable or not.

        Returns:
            How many references it had.

        Raises:
            SubjectNotFoundError: If there is none.
            StorageError: If rows or files can't be deleted.
        """
        with self._database.write() as rows:
            subject = _existing(rows, key)
            images = rows.images(subject.id, self._fingerprint)
            paths = {image.path for image, _ in images}.union(self._files.belongings_of(key))
            rows.remove_subject(subject.id)
            rows.remove_skipped(paths)
            rows.add_pending_removals(paths)
        self._erase(paths)
        return len(images)

    def remove_image(self, key: str, image_id: str) -> None:
        """Delete one reference of a subject with its file.

        Raises:
            SubjectNotFoundError, ImageNotFoundError: If there is none.
            StorageError: If its row or file can't be deleted.
        """
        with self._database.write() as rows:
            subject = _existing(rows, key)
            images = rows.images(subject.id, self._fingerprint)
            path = next((image.path for image, _ in images if image.image_id == image_id), None)
            if path is None:
                raise ImageNotFoundError(f"{subject.name} has no reference with this image_id.")
            rows.remove_image(image_id)
            rows.remove_skipped([path])
            rows.add_pending_removals([path])
        self._erase({path})

    def recover(self) -> None:
        """Finish or undo what a crash left half done.

        Raises:
            StorageError: If the database can't be used or a photo can't get its name.
        """
        # A file that can't be deleted must not keep the service down; it stays noted.
        self._finish_removals()
        if not self._files.staged():
            return
        with self._database.write() as rows:
            staged = self._files.staged()
            known = rows.known_paths(staged)
            orphans = [path for path in staged if path not in known]
            self._files.publish(known)
            self._files.discard_staged(orphans)
            self._drop_folders(rows, orphans)

    def _erase(self, paths: Collection[str]) -> None:
        """Delete the files of rows that are gone, and the rows' remains in the database's log."""
        try:
            failures = self._finish_removals()
        finally:
            self._database.erase_traces()
        for path in failures.keys() & paths:
            with file_errors("A photo can't be deleted from the disk; the next start tries again"):
                raise failures[path]

    def _finish_removals(self) -> dict[str, OSError]:
        """Delete files whose rows are gone already; returns what can't be deleted."""
        with self._database.read() as reader:
            if not reader.pending_removals():
                return {}
        with self._database.write() as rows:
            paths = rows.pending_removals()
            failures = self._files.remove(paths)
            self._drop_folders(rows, paths)
            rows.clear_pending_removals(path for path in paths if path not in failures)
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

    def _discard(self, begun: _Addition) -> None:
        """Delete staged files whose rows were not committed."""
        self._files.discard_staged(begun.paths.values())
        if begun.new_subject is not None:
            for folder in _folders(begun.paths.values()):
                self._files.drop_folder(folder)

    def _withdraw(self, begun: _Addition) -> None:
        """Take back committed rows whose files did not get their names."""
        with self._database.write() as rows:
            for image_id in begun.paths:
                rows.remove_image(image_id)
            rows.add_pending_removals(begun.paths.values())
            if begun.new_subject is not None and begun.new_subject not in rows.counts():
                rows.remove_subject(begun.new_subject)
        self._finish_removals()

    def _path(self, subject: str, image_id: str) -> str:
        folder = self._files.folder_for(subject)
        return f"{folder}/{image_id}.jpg" if folder else f"{image_id}.jpg"

    def _drop_folders(self, rows: GalleryWriter, paths: Sequence[str]) -> None:
        """Delete the empty folders of subjects that do not exist (any more)."""
        for folder in sorted(_folders(paths), key=len, reverse=True):
            if rows.subject(PurePosixPath(folder).parts[0].casefold()) is None:
                self._files.drop_folder(folder)


def _folders(paths: Iterable[str]) -> set[str]:
    """The folders of these photos, and the folders around those, the root left out."""
    return {str(folder) for path in paths for folder in PurePosixPath(path).parents} - {"."}


def utc_now() -> str:
    """The time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _existing(rows: GalleryWriter, key: str) -> SubjectRecord:
    subject = rows.subject(key)
    if subject is None:
        raise SubjectNotFoundError("No subject of this name exists.")
    return subject
