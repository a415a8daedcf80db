"""The JSON of the answers about the gallery: people, references, erasures."""

from typing import Literal

from pydantic import Field

from app.api.schemas import Answer, FaceOut, QualityOut, ReasonOut


class SubjectOut(Answer):
    """A person of the gallery."""

    subject: str = Field(examples=["default"])
    references: int = Field(examples=[5])
    created_at: str = Field(description="ISO 8601, UTC.", examples=["2026-11-20T09:30:00Z"])


class SkippedOut(Answer):
    """A file in the folder that could not become a reference, and why."""

    path: str = Field(description="Relative to verification_images.", examples=["anna/wall.jpg"])
    reasons: list[ReasonOut]


class SubjectsOut(Answer):
    """Everyone in the gallery."""

    subjects: list[SubjectOut]
    skipped: list[SkippedOut] = Field(
        description="What lies in the folder and could not become a reference at the latest look."
    )


class ImageOut(Answer):
    """A reference and what is known about it."""

    image_id: str
    filename: str = Field(description="Name of the stored file.", examples=["anna-1.jpg"])
    source: Literal["upload", "folder"] = Field(
        description="Whether it was sent to /enroll or found in the folder."
    )
    created_at: str = Field(description="ISO 8601, UTC.", examples=["2026-11-20T09:30:00Z"])
    sha256: str = Field(description="Of the stored JPEG file.")
    face: FaceOut | None = Field(
        description="null if the bundle in use can't use the photo; it is then not compared."
    )
    quality: QualityOut | None


class SubjectDetailOut(SubjectOut):
    """A person of the gallery with all references."""

    images: list[ImageOut]


class RemovedOut(Answer):
    """Counts of what was removed."""

    references: int = Field(description="Verification images with their rows.", examples=[5])
    embeddings: int = Field(description="Embeddings of those, of every model.", examples=[5])
    files: int = Field(description="Photos and whatever else lay in the folder.", examples=[5])
    training_files: int = Field(
        description="Photos for training in folders of the name, and files of training jobs that "
        "had photos of the person.",
        examples=[0],
    )


class ReceiptOut(Answer):
    """Proof of an erasure, signed by the service; keep it, the service does not."""

    receipt_id: str
    subject: str
    pseudonym: str = Field(description="What the audit log calls this person.")
    erased_at: str = Field(description="ISO 8601, UTC.", examples=["2026-11-20T09:30:00.000Z"])
    removed: RemovedOut
    log_emptied: bool = Field(
        description="Whether the database's write-ahead log was emptied at once; else the service "
        "does it as soon as no one reads an older state."
    )
    audit_seq: int = Field(description="Number of the audit entry about this erasure.")
    audit_hash: str
    kept: list[str] = Field(description="What an erasure does not reach.")
    key_id: str
    models: list[str] = Field(
        description="Versions that were trained on photos of the person, or made for the person; "
        "`kept` says what that means."
    )
    signature: str = Field(
        description="HMAC-SHA256; `facetwin audit receipt FILE` checks it with the service's key."
    )


class DeletedOut(Answer):
    """What a deletion removed: rows, embeddings and files."""

    subject: str = Field(examples=["default"])
    deleted: int = Field(description="References removed.", examples=[5])
    receipt: ReceiptOut
