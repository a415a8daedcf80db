"""The gallery: all references, in the database, in the folder and in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from app.domain.entities import Face, FacePolicy, Floats, Quality, Reference
from app.domain.errors import (
    ImageNotFoundError,
    NoReferencesError,
    StorageError,
    SubjectNotFoundError,
)
from app.domain.ports import FacePipeline
from app.domain.subjects import DEFAULT_SUBJECT, subject_key
from app.services.finding_recorder import SkippedFile, SyncReport
from app.services.gallery_sync import FolderSync, Progress
from app.services.reference_store import NewPhoto, ReferenceStore, Stored
from app.services.snapshot import SnapshotCache, SubjectReferences
from app.storage.database import Database
from app.storage.files import ReferenceFiles
from app.storage.records import EmbeddingRecord, ImageRecord, Source, SubjectRecord

__all__ = [
    "Gallery",
    "Progress",
    "ReferenceInfo",
    "SkippedFile",
    "SubjectSummary",
    "SyncReport",
]

MAX_IMAGE_BYTES: Final = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SubjectSummary:
    """A subject and how many references can be compared with; `created_at` is ISO 8601 UTC."""

    subject: str
    references: int
    created_at: str


@dataclass(frozen=True, slots=True)
class ReferenceInfo:
    """A verification image.

    Attributes:
        filename: Of the stored file.
        source: Whether it was sent or found in the folder.
        created_at: ISO 8601 UTC.
        sha256: Of the stored file.
        face: The face that is compared; None if the bundle in use finds none, in which case the
            image takes no part in verification.
    """

    image_id: str
    filename: str
    source: Source
    created_at: str
    sha256: str
    face: Face | None
    quality: Quality | None


class Gallery:
    """All references under one bundle; safe to use from many threads and beside other processes.

    Args:
        database: Migrated.
        images_dir: The folder verification_images; it must exist.
        pipeline: The bundle that embeds and whose fingerprint is compared.
        max_image_bytes: Larger folder photos are skipped.
        folder_policy: Which face of a new folder photo is meant.
    """

    def __init__(
        self,
        database: Database,
        images_dir: Path,
        pipeline: FacePipeline,
        *,
        max_image_bytes: int = MAX_IMAGE_BYTES,
        folder_policy: FacePolicy = FacePolicy.PROMINENT,
    ) -> None:
        self._database = database
        self._fingerprint = pipeline.fingerprint
        self._files = ReferenceFiles(images_dir)
        self._store = ReferenceStore(database, self._files, self._fingerprint)
        self._snapshots = SnapshotCache(database, self._fingerprint)
        self._folder = FolderSync(
            database,
            self._files,
            self._store,
            pipeline,
            max_image_bytes=max_image_bytes,
            policy=folder_policy,
        )
        self._syncing = Lock()

    def sync(self, progress: Progress | None = None) -> SyncReport:
        """Finish what a crash left and pick up what changed in the folder.

        Args:
            progress: Called with the number of photos done and the number to do.

        Raises:
            StorageError: If database or folder can't be used.
        """
        with self._syncing:
            return self._folder.run(progress)

    def references(self, subject: str) -> tuple[str, tuple[Reference, ...], Floats]:
        """What a probe is compared with, all of one state of the gallery.

        Returns:
            The stored spelling of the name, the references, oldest first, and their embeddings,
            shape (n, d), n >= 1, read-only.

        Raises:
            InvalidRequestError: If the name is not allowed.
            SubjectNotFoundError, NoReferencesError: If there is nothing to compare with.
        """
        key = subject_key(subject)
        found = self._snapshots.current().subjects.get(key)
        if found is None and key != DEFAULT_SUBJECT:
            raise _unknown()
        if found is None or not found.references:
            name = found.record.name if found else DEFAULT_SUBJECT
            raise NoReferencesError(
                f"The subject {name} has no usable reference. Enroll a photo first.", subject=name
            )
        return found.record.name, found.references, found.matrix

    def subjects(self) -> list[SubjectSummary]:
        """All subjects, by name without regard to case."""
        return [_summary(s) for s in self._snapshots.current().subjects.values()]

    def summary(self, name: str) -> SubjectSummary | None:
        """A subject without its images; None if there is none."""
        found = self._snapshots.current().subjects.get(subject_key(name))
        return _summary(found) if found else None

    def subject(self, name: str) -> tuple[SubjectSummary, list[ReferenceInfo]]:
        """A subject and all its verification images, oldest first.

        Raises:
            SubjectNotFoundError: If there is none.
        """
        record, images = self._images(name)
        usable = sum(embedding is not None for _, embedding in images)
        summary = SubjectSummary(record.name, usable, record.created_at)
        return summary, [_info(image, embedding) for image, embedding in images]

    def image(self, name: str, image_id: str) -> ReferenceInfo:
        """One verification image of a subject.

        Raises:
            SubjectNotFoundError, ImageNotFoundError: If there is none.
        """
        return _info(*self._image(name, image_id))

    def image_content(self, name: str, image_id: str) -> tuple[str, bytes]:
        """File name and bytes of a verification image.

        Raises:
            SubjectNotFoundError, ImageNotFoundError: If there is none.
            StorageError: If it can't be read.
        """
        image, _ = self._image(name, image_id)
        path = self._files.location(image.path)
        try:
            return path.name, path.read_bytes()
        except FileNotFoundError:
            raise ImageNotFoundError("The file of this reference is gone from the disk.") from None
        except OSError as error:
            raise StorageError(f"The photo can't be read: {error.strerror}.") from error

    def delete_subject(self, name: str) -> int:
        """Delete all that is kept of a person: rows, embeddings and every photo in the folder.

        Returns:
            How many references were removed.

        Raises:
            SubjectNotFoundError: If there is none.
            StorageError: If something can't be deleted now.
        """
        return self._store.remove_subject(subject_key(name))

    def delete_image(self, name: str, image_id: str) -> None:
        """Delete one verification image: row, embeddings and file.

        Raises:
            SubjectNotFoundError, ImageNotFoundError: If there is none.
            StorageError: If something can't be deleted now.
        """
        self._store.remove_image(subject_key(name), image_id)

    def reference_count(self) -> int:
        """References of all subjects that can be compared with."""
        return self._snapshots.current().references

    def twin(self, name: str, hashes: Sequence[str]) -> str | None:
        """Image_id of a reference of the subject that was stored, or sent, as such a file."""
        with self._database.read() as rows:
            subject = rows.subject(subject_key(name))
            image = subject and rows.twin(subject.id, hashes)
            return image.image_id if image else None

    def add(self, name: str, photos: Sequence[NewPhoto]) -> list[Stored]:
        """Store photos as references, all or none; what became of each, in their order.

        Raises:
            StorageError: If they can't be stored; then nothing is changed.
        """
        return self._store.add(name, photos)

    def _images(
        self, name: str
    ) -> tuple[SubjectRecord, list[tuple[ImageRecord, EmbeddingRecord | None]]]:
        with self._database.read() as rows:
            record = rows.subject(subject_key(name))
            if record is None:
                raise _unknown()
            return record, rows.images(record.id, self._fingerprint)

    def _image(self, name: str, image_id: str) -> tuple[ImageRecord, EmbeddingRecord | None]:
        record, images = self._images(name)
        for image, embedding in images:
            if image.image_id == image_id:
                return image, embedding
        raise ImageNotFoundError(f"The subject {record.name} has no image of this image_id.")


def _unknown() -> SubjectNotFoundError:
    return SubjectNotFoundError("No subject of this name exists. Enroll a photo of it first.")


def _summary(found: SubjectReferences) -> SubjectSummary:
    return SubjectSummary(found.record.name, len(found.references), found.record.created_at)


def _info(image: ImageRecord, embedding: EmbeddingRecord | None) -> ReferenceInfo:
    return ReferenceInfo(
        image.image_id,
        image.path.rpartition("/")[2],
        image.source,
        image.created_at,
        image.sha256,
        embedding.face if embedding else None,
        embedding.quality if embedding else None,
    )
