"""Embeddings that were damaged in the database are deleted, so that they are computed anew."""

from app.services.snapshot import SnapshotCache
from app.storage.database import Database


class Mending:
    """Knows from the snapshot which embeddings are damaged."""

    def __init__(self, database: Database, snapshots: SnapshotCache, fingerprint: str) -> None:
        self._database = database
        self._snapshots = snapshots
        self._fingerprint = fingerprint

    def look(self) -> None:
        """Look at what another process has changed; damage is noticed here.

        Raises:
            StorageError: If the database can't be read.
        """
        self._snapshots.current()

    def is_due(self, revision: int) -> bool:
        """Whether an embedding is damaged, or the gallery is not at this revision any more."""
        current = self._snapshots.current()
        return bool(current.damaged) or current.revision != revision

    def drop(self) -> None:
        """Delete the damaged embeddings that were noticed so far.

        Raises:
            StorageError: If the database can't be used.
        """
        subjects = self._snapshots.newest.subjects.values()
        affected = [subject.record.id for subject in subjects if subject.damaged]
        if not affected:
            return
        with self._database.write() as rows:
            # Another process may have renewed some since.
            for reference in list(rows.references(self._fingerprint, affected)):
                if reference.vector is None:
                    rows.remove_embedding(reference.image_id, self._fingerprint)
