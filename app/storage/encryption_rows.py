"""The keys of the encryption at rest, and what is stored under them, in the caller's transaction.

Every key that anything on the disk may be encrypted with is registered in `encryption_keys`, and
is so before the first use: who finds a key there that it does not hold must not go on.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select, tuple_, update

from app.domain.errors import StorageError
from app.storage.records import FileStamp
from app.storage.tables import Embedding, EncryptionKey, Image, SkippedFile

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class VectorRow:
    """The embedding of an image as it stands in the table; plain if `key_id` is None."""

    image_id: str
    fingerprint: str
    vector: bytes
    key_id: str | None

    @property
    def place(self) -> tuple[str, str]:
        """What the table is ordered by."""
        return self.image_id, self.fingerprint


class EncryptionRows:
    """Keys, encrypted vectors, and the stamps of rewritten photos."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def registered(self) -> dict[str, bytes]:
        """Check value by key_id."""
        rows = self._connection.execute(select(EncryptionKey.key_id, EncryptionKey.check_value))
        return {row.key_id: row.check_value for row in rows}

    def register(self, key_id: str, check_value: bytes, created_at: str) -> None:
        """Add a key; it must be new."""
        values = {"key_id": key_id, "check_value": check_value, "created_at": created_at}
        self._connection.execute(insert(EncryptionKey), values)

    def unregister(self, key_ids: Iterable[str]) -> None:
        """Remove keys that nothing is encrypted with."""
        self._connection.execute(
            delete(EncryptionKey).where(EncryptionKey.key_id.in_(list(key_ids)))
        )

    def vectors_by_key(self) -> Counter[str | None]:
        """How many embeddings each key encrypts; None counts the plain ones."""
        query = select(Embedding.key_id, func.count()).group_by(Embedding.key_id)
        return Counter({row[0]: row[1] for row in self._connection.execute(query)})

    def vectors(self, after: tuple[str, str]) -> list[VectorRow]:
        """A page of embeddings behind a place; empty at the end."""
        place = tuple_(Embedding.image_id, Embedding.fingerprint)
        query = select(
            Embedding.image_id, Embedding.fingerprint, Embedding.vector, Embedding.key_id
        )
        page = (
            query.where(place > after)
            .order_by(Embedding.image_id, Embedding.fingerprint)
            .limit(_PAGE)
        )
        return [VectorRow(*row) for row in self._connection.execute(page)]

    def put_vectors(self, rows: Sequence[VectorRow]) -> None:
        """Store the vectors of rows that are there in another form."""
        if not rows:
            return
        statement = (
            update(Embedding)
            .where(
                Embedding.image_id == bindparam("of_image"),
                Embedding.fingerprint == bindparam("under"),
            )
            .values(vector=bindparam("new_vector"), key_id=bindparam("new_key"))
        )
        values = [
            {
                "of_image": r.image_id,
                "under": r.fingerprint,
                "new_vector": r.vector,
                "new_key": r.key_id,
            }
            for r in rows
        ]
        self._connection.execute(statement, values)

    def drop_vector(self, row: VectorRow) -> None:
        """Delete an embedding that can't be read; the next synchronisation computes it anew."""
        self._connection.execute(
            delete(Embedding).where(
                Embedding.image_id == row.image_id, Embedding.fingerprint == row.fingerprint
            )
        )

    def known_stamps(self) -> dict[str, FileStamp]:
        """Stamp of every photo that was looked at and understood, by path."""
        stamps: dict[str, FileStamp] = {}
        for table in (SkippedFile, Image):
            for row in self._connection.execute(select(table.path, table.size, table.mtime_ns)):
                stamps[row.path] = FileStamp(row.size, row.mtime_ns)
        return stamps

    def image_paths(self) -> set[str]:
        """Paths of all references."""
        return set(self._connection.scalars(select(Image.path)))

    def restamp(self, path: str, old: FileStamp, new: FileStamp) -> None:
        """Note that a file was rewritten with the same content."""
        for table in (SkippedFile, Image):
            unchanged = (
                table.path == path,
                table.size == old.size,
                table.mtime_ns == old.mtime_ns,
            )
            self._connection.execute(
                update(table).where(*unchanged).values(size=new.size, mtime_ns=new.mtime_ns)
            )


def require_registered(connection: Connection, key_id: str | None) -> None:
    """Refuse to write under a key that is not the gallery's (any more).

    Args:
        connection: A write transaction.
        key_id: The key to write with; None to write plain.

    Raises:
        StorageError: If another process has changed the keys since this one started.
    """
    registered = set(connection.scalars(select(EncryptionKey.key_id)))
    if key_id is None and registered:
        raise StorageError(
            "This gallery is encrypted. Set FACETWIN_ENCRYPTION_KEY to its key and start again."
        )
    if key_id is not None and key_id not in registered:
        change = "to the one it has now" if registered else "to nothing: it is not encrypted now,"
        raise StorageError(
            f"The key of this gallery was changed meanwhile. Set FACETWIN_ENCRYPTION_KEY {change} "
            "and start again."
        )
