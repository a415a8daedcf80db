"""What is stored under which fingerprint, within the caller's transaction."""

from collections.abc import Collection

from sqlalchemy import Connection, delete, exists, func, select

from app.storage.tables import Embedding, Image, SkippedFile


def embedding_counts(connection: Connection) -> dict[str, int]:
    """How many references are embedded, by fingerprint."""
    rows = connection.execute(
        select(Embedding.fingerprint, func.count()).group_by(Embedding.fingerprint)
    )
    return {row[0]: row[1] for row in rows}


def left_behind(connection: Connection, fingerprint: str, before: str | None) -> int:
    """How many references would be lost because nobody has looked at them under a fingerprint.

    Args:
        connection: Of a transaction.
        fingerprint: The one to come.
        before: The one that counts so far; None for any other.

    Returns:
        References embedded under `before` that are neither embedded under `fingerprint` nor found
        unusable under it.
    """
    of_image = Embedding.image_id == Image.image_id
    counted = Embedding.fingerprint != fingerprint
    if before is not None:
        counted = Embedding.fingerprint == before
    refused = exists().where(SkippedFile.path == Image.path, SkippedFile.fingerprint == fingerprint)
    query = select(func.count()).select_from(Image)
    return connection.scalars(
        query.where(
            exists().where(of_image, counted),
            ~exists().where(of_image, Embedding.fingerprint == fingerprint),
            ~refused,
        )
    ).one()


def remove_other_fingerprints(connection: Connection, kept: Collection[str]) -> int:
    """Delete embeddings and findings under all other fingerprints.

    Returns:
        How many embeddings were deleted.
    """
    counts = embedding_counts(connection)
    connection.execute(delete(Embedding).where(Embedding.fingerprint.not_in(kept)))
    connection.execute(delete(SkippedFile).where(SkippedFile.fingerprint.not_in(kept)))
    return sum(count for name, count in counts.items() if name not in kept)
