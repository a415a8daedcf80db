"""What is stored of one person under every fingerprint, within the caller's transaction."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, func, select

from app.storage.repositories import chunks
from app.storage.tables import Embedding, Image, SkippedFile


def embedding_count(connection: Connection, subject_id: int) -> int:
    """Embeddings of a subject's images."""
    query = select(func.count()).select_from(Embedding).join(Image)
    return connection.scalars(query.where(Image.subject_id == subject_id)).one()


def fingerprints(connection: Connection, subject_id: int) -> list[str]:
    """Fingerprints under which a subject's images are embedded."""
    query = select(Embedding.fingerprint).join(Image).where(Image.subject_id == subject_id)
    return sorted(set(connection.scalars(query)))


def unusable_files(connection: Connection, paths: Iterable[str]) -> list[dict[str, Any]]:
    """What is known of those of `paths` that can't be references: path, hash and reasons."""
    return [
        {"path": row.path, "sha256": row.sha256, "reasons": row.reasons}
        for chunk in chunks(paths)
        for row in connection.execute(select(SkippedFile).where(SkippedFile.path.in_(chunk)))
    ]
