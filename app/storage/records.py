"""Rows of the gallery as plain values; what the repository takes and gives."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from app.domain.entities import Face, FacePolicy, Floats, Quality, Reason

Source = Literal["upload", "folder"]
"""Whether a photo was sent to the service or found in its folder."""


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What tells a changed file from an unchanged one without reading it."""

    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class SubjectRecord:
    """A subject.

    Attributes:
        name: The stored spelling.
        key: The name without regard to case.
        revision: The gallery's revision at which the subject or its references last changed.
    """

    id: int
    name: str
    key: str
    created_at: str
    revision: int


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """A stored verification image.

    Attributes:
        path: Relative to the folder verification_images, with forward slashes.
        sha256: Of the stored file.
        source_sha256: Of the bytes that were sent; of the file itself for a folder photo.
        face_policy: Which face of the photo is meant, also when it is embedded again.
    """

    image_id: str
    path: str
    sha256: str
    source_sha256: str
    stamp: FileStamp
    source: Source
    face_policy: FacePolicy
    created_at: str


@dataclass(frozen=True, slots=True)
class EmbeddingRecord:
    """The embedding of an image under one fingerprint, with the face it was taken from."""

    vector: Floats
    face: Face
    quality: Quality


@dataclass(frozen=True, slots=True)
class StoredEmbedding:
    """An `EmbeddingRecord` as it is read: the vector is decrypted only when it is asked for.

    So a row that can't be decrypted can still be listed and deleted.
    """

    face: Face
    quality: Quality
    decode: Callable[[], Floats] = field(repr=False, compare=False)

    @property
    def vector(self) -> Floats:
        """The embedding.

        Raises:
            StorageError: If it can't be decrypted.
        """
        return self.decode()


@dataclass(frozen=True, slots=True)
class FolderImage:
    """What the folder synchronisation needs to know of an image."""

    image: ImageRecord
    subject_key: str
    embedded: bool


@dataclass(frozen=True, slots=True)
class StoredReference:
    """An image with its embedding, as it is read into memory.

    Attributes:
        vector: None if it was damaged or altered; the photo may give it anew.
    """

    subject_id: int
    image_id: str
    path: str
    created_at: str
    vector: Floats | None


@dataclass(frozen=True, slots=True)
class SkippedRecord:
    """A folder photo that can't be a reference under one fingerprint, and why."""

    path: str
    fingerprint: str
    sha256: str
    stamp: FileStamp
    reasons: tuple[Reason, ...]
