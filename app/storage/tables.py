"""Tables of the gallery. A change here needs a migration in `migrations/versions`."""

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Names every constraint, so that later migrations can change it on any database."""

    metadata = MetaData(naming_convention=_NAMES)


class Subject(Base):
    """A person. `name_key` is the name without regard to case."""

    __tablename__ = "subjects"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    name_key: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[str] = mapped_column(String(32))
    revision: Mapped[int] = mapped_column(BigInteger)


class Image(Base):
    """A verification image; `path` is relative to the folder verification_images."""

    __tablename__ = "images"
    __table_args__ = (Index(None, "subject_id"),)

    image_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    subject_id: Mapped[int] = mapped_column(ForeignKey("subjects.id", ondelete="CASCADE"))
    path: Mapped[str] = mapped_column(String(512), unique=True)
    sha256: Mapped[str] = mapped_column(String(64))
    source_sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    source: Mapped[str] = mapped_column(String(8))
    face_policy: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[str] = mapped_column(String(32))


class Embedding(Base):
    """An image under one fingerprint.

    `vector` is little-endian float32, encrypted if `key_id` names a key.
    """

    __tablename__ = "embeddings"

    image_id: Mapped[str] = mapped_column(
        ForeignKey("images.image_id", ondelete="CASCADE"), primary_key=True
    )
    fingerprint: Mapped[str] = mapped_column(String(64), primary_key=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[str | None] = mapped_column(String(16))
    face: Mapped[dict[str, Any]] = mapped_column(JSON)
    quality: Mapped[dict[str, Any]] = mapped_column(JSON)


class SkippedFile(Base):
    """A folder photo that can't be a reference, so that it is not detected again at each start."""

    __tablename__ = "skipped_files"

    path: Mapped[str] = mapped_column(String(512), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    reasons: Mapped[list[dict[str, Any]]] = mapped_column(JSON)


class PendingRemoval(Base):
    """A file whose rows are deleted already; it goes next, or at the next start."""

    __tablename__ = "pending_removals"

    path: Mapped[str] = mapped_column(String(512), primary_key=True)


class HeldPhoto(Base):
    """A photo that is missing since a loss too large to be believed; its reference is kept."""

    __tablename__ = "held_photos"

    path: Mapped[str] = mapped_column(String(512), primary_key=True)


class GalleryState(Base):
    """One row. Each write transaction locks it first and adds one to `revision`.

    `gallery_id` also stands in a file in verification_images, so that another folder, or the
    empty place where a disk should be mounted, is not taken for this gallery's.
    """

    __tablename__ = "gallery_state"

    id: Mapped[int] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger)
    gallery_id: Mapped[str | None] = mapped_column(String(32))


class ApiKey(Base):
    """A key that was made by `facetwin keys create`; `digest` is the sha256 of the whole key."""

    __tablename__ = "api_keys"

    key_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[str] = mapped_column(String(32))
    last_used_at: Mapped[str | None] = mapped_column(String(32))
    revoked_at: Mapped[str | None] = mapped_column(String(32))


class AuditEntry(Base):
    """One event, chained to the one before; triggers keep the table append-only.

    `subject` is a pseudonym: an HMAC of the name, so that an erased name is not kept here.
    """

    __tablename__ = "audit_log"
    __table_args__ = (Index(None, "subject"),)

    seq: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[str] = mapped_column(String(32))
    actor: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str | None] = mapped_column(String(64))
    outcome: Mapped[str | None] = mapped_column(String(32))
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    key_id: Mapped[str] = mapped_column(String(16))
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class AuditAnchor(Base):
    """One row: number and hash of the last entry that retention has removed."""

    __tablename__ = "audit_anchor"

    id: Mapped[int] = mapped_column(primary_key=True)
    pruned_seq: Mapped[int]
    pruned_hash: Mapped[str] = mapped_column(String(64))


class EncryptionKey(Base):
    """A key that something on the disk may be encrypted with; `check_value` proves it."""

    __tablename__ = "encryption_keys"

    key_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    check_value: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[str] = mapped_column(String(32))


class TrainingJob(Base):
    """A job. `place` orders the queue, `subject_key` is the name without regard to case."""

    __tablename__ = "training_jobs"
    __table_args__ = (Index(None, "state"), Index(None, "subject_key"))

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(String(32), unique=True)
    state: Mapped[str] = mapped_column(String(16))
    place: Mapped[int] = mapped_column(BigInteger)
    subject_key: Mapped[str] = mapped_column(String(64))
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    attempts: Mapped[int]
    cancel_requested: Mapped[bool]
    created_at: Mapped[str] = mapped_column(String(32))
    started_at: Mapped[str | None] = mapped_column(String(32))
    ended_at: Mapped[str | None] = mapped_column(String(32))
    heartbeat_at: Mapped[str | None] = mapped_column(String(32))
    stage: Mapped[str | None] = mapped_column(String(16))
    progress: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    outcome: Mapped[dict[str, Any] | None] = mapped_column(JSON)


class TrainingLogLine(Base):
    """A line of a job's log, numbered from 1 within the job."""

    __tablename__ = "training_log"

    job_id: Mapped[str] = mapped_column(
        ForeignKey("training_jobs.job_id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[str] = mapped_column(String(32))
    message: Mapped[str] = mapped_column(String(2000))


class TrainingErasure(Base):
    """An erasure of what training keeps of a person that has begun and is not logged yet.

    It tells how to go on after a crash. `subject` is a pseudonym, `hashes` are sha256 of photos.
    """

    __tablename__ = "training_erasures"

    subject: Mapped[str] = mapped_column(String(64), primary_key=True)
    begun_at: Mapped[str] = mapped_column(String(32))
    hashes: Mapped[list[str]] = mapped_column(JSON)
    jobs: Mapped[list[str]] = mapped_column(JSON)
    models: Mapped[list[str]] = mapped_column(JSON)
    files: Mapped[int]
