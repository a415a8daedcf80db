"""Subjects and references as they are shown: without embeddings."""

from dataclasses import dataclass

from app.domain.entities import Face, Quality
from app.services.snapshot import SubjectReferences
from app.storage.records import ImageRecord, Source, StoredEmbedding


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
