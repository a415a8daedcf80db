"""Subjects and references as they are shown: without embeddings."""

from dataclasses import dataclass

from app.domain.audit import Action, Actor, AuditEvent
from app.domain.entities import Face, Quality
from app.domain.errors import ImageNotFoundError, StorageError, SubjectNotFoundError
from app.domain.subjects import subject_key
from app.services.audit import AuditLog
from app.services.snapshot import SubjectReferences
from app.storage.cipher import UndecryptableError
from app.storage.database import Database
from app.storage.files import ReferenceFiles
from app.storage.records import ImageRecord, Source, StoredEmbedding, SubjectRecord


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


def summary_of(found: SubjectReferences) -> SubjectSummary:
    """A subject of a snapshot without its references."""
    return SubjectSummary(found.record.name, len(found.references), found.record.created_at)


def info_of(image: ImageRecord, embedding: StoredEmbedding | None) -> ReferenceInfo:
    """An image as it is shown; `embedding` is the one under the fingerprint in use."""
    return ReferenceInfo(
        image.image_id,
        image.path.rpartition("/")[2],
        image.source,
        image.created_at,
        image.sha256,
        embedding.face if embedding else None,
        embedding.quality if embedding else None,
    )


class SubjectViews:
    """Reads single subjects and references from the database, and photos from the folder."""

    def __init__(
        self, database: Database, files: ReferenceFiles, fingerprint: str, audit: AuditLog
    ) -> None:
        self._database = database
        self._files = files
        self._fingerprint = fingerprint
        self._audit = audit

    def subject(self, name: str) -> tuple[SubjectSummary, list[ReferenceInfo]]:
        """A subject and all its images, oldest first; raises as `Gallery.subject`."""
        record, images = self._images(name)
        usable = sum(embedding is not None for _, embedding in images)
        summary = SubjectSummary(record.name, usable, record.created_at)
        return summary, [info_of(image, embedding) for image, embedding in images]

    def image(self, name: str, image_id: str) -> ReferenceInfo:
        """One image of a subject; raises as `Gallery.image`."""
        return info_of(*self._image(name, image_id))

    def content(self, name: str, image_id: str, actor: Actor) -> tuple[str, bytes]:
        """File name and bytes of an image; raises as `Gallery.image_content`."""
        image, _ = self._image(name, image_id)
        person = self._audit.pseudonym(subject_key(name))
        self._audit.record(AuditEvent(Action.READ_IMAGE, actor, person, "read"))
        try:
            return self._files.location(image.path).name, self._files.content(image.path)
        except FileNotFoundError:
            raise ImageNotFoundError("The file of this reference is gone from the disk.") from None
        except UndecryptableError as error:
            raise StorageError(f"The photo can't be read. {error.message}") from error
        except OSError as error:
            raise StorageError(f"The photo can't be read: {error.strerror}.") from error

    def _images(
        self, name: str
    ) -> tuple[SubjectRecord, list[tuple[ImageRecord, StoredEmbedding | None]]]:
        with self._database.read() as rows:
            record = rows.subject(subject_key(name))
            if record is None:
                raise unknown_subject()
            return record, rows.images(record.id, self._fingerprint)

    def _image(self, name: str, image_id: str) -> tuple[ImageRecord, StoredEmbedding | None]:
        record, images = self._images(name)
        for image, embedding in images:
            if image.image_id == image_id:
                return image, embedding
        raise ImageNotFoundError(f"The subject {record.name} has no image of this image_id.")


def unknown_subject() -> SubjectNotFoundError:
    """The error for a name that nobody has (yet)."""
    return SubjectNotFoundError("No subject of this name exists. Enroll a photo of it first.")
