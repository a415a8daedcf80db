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
    """An image under one fingerprint; `vector` is little-endian float32."""

    __tablename__ = "embeddings"

    image_id: Mapped[str] = mapped_column(
        ForeignKey("images.image_id", ondelete="CASCADE"), primary_key=True
    )
    fingerprint: Mapped[str] = mapped_column(String(64), primary_key=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary)
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


class GalleryState(Base):
    """One row. Each write transaction locks it first and adds one to `revision`."""

    __tablename__ = "gallery_state"

    id: Mapped[int] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger)
