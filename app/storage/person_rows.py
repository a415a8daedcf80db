"""What is stored of one person under every fingerprint, within the caller's transaction."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select
from sqlalchemy.orm import InstrumentedAttribute

from app.domain.subjects import DEFAULT_SUBJECT
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


def lies_with(key: str, path: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Condition that a path lies in a subject's folder in any spelling; for `default`, the root.

    It compares a part of the path, not a pattern: `%` and `_` may be part of a name.
    """
    if key == DEFAULT_SUBJECT:
        return path.not_like("%/%")
    folder = f"{key}/"
    return func.lower(func.substr(path, 1, len(folder))) == folder


def unusable_files(connection: Connection, paths: Iterable[str]) -> list[dict[str, Any]]:
    """What is known of those of `paths` that can't be references: path, hash and reasons."""
    return [
        {"path": row.path, "sha256": row.sha256, "reasons": row.reasons}
        for chunk in chunks(paths)
        for row in connection.execute(select(SkippedFile).where(SkippedFile.path.in_(chunk)))
    ]
