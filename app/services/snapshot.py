"""The gallery in memory: what verification looks at, so that no request reads embeddings.

A snapshot never changes; a request captures one and keeps it. The database holds a revision that
grows with every change by any process: a newer one is met by building the next snapshot, for which
only the subjects that changed are read again.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from app.domain.entities import Floats, Reference
from app.storage.database import Database
from app.storage.records import StoredReference, SubjectRecord
from app.storage.repositories import GalleryReader

_log = logging.getLogger("facetwin.encryption")


@dataclass(frozen=True, slots=True)
class SubjectReferences:
    """A subject with its references under one fingerprint.

    Attributes:
        record: The stored name and the revision at which the subject last changed.
        references: Oldest first; their embeddings are rows of `matrix`.
        matrix: Shape (n, d), float32, contiguous, read-only.
        damaged: Image_ids of references whose embedding is damaged; they are left out above.
    """

    record: SubjectRecord
    references: tuple[Reference, ...]
    matrix: Floats = field(repr=False)
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All subjects by key at one revision.

    Attributes:
        damaged: Image_ids of all references whose embedding is damaged.
    """

    revision: int
    subjects: Mapping[str, SubjectReferences]
    references: int
    damaged: frozenset[str] = frozenset()


class SnapshotCache:
    """Keeps the newest snapshot; safe to use from many threads."""

    def __init__(self, database: Database, fingerprint: str) -> None:
        self._database = database
        self._fingerprint = fingerprint
        self._loading = Lock()
        self._snapshot = Snapshot(-1, {}, 0)

    @property
    def newest(self) -> Snapshot:
        """The newest snapshot so far; costs nothing."""
        return self._snapshot

    def current(self) -> Snapshot:
        """The snapshot of the gallery as it is now, with the changes of other processes.

        Raises:
            StorageError: If the database can't be read.
        """
        revision = self._database.revision()
        if self._snapshot.revision < revision:
            with self._loading:
                # Whoever waited here may find the work done.
                if self._snapshot.revision < revision:
                    self._snapshot = self._load(self._snapshot)
        return self._snapshot

    def _load(self, old: Snapshot) -> Snapshot:
        with self._database.read() as rows:
            revision = rows.revision()
            records = rows.subjects()
            kept = {r.key: old.subjects[r.key] for r in records if _unchanged(r, old)}
            fresh = self._read(rows, [r for r in records if r.key not in kept])
        subjects = {r.key: kept.get(r.key) or fresh[r.key] for r in records}
        count = sum(len(subject.references) for subject in subjects.values())
        damaged = frozenset(i for subject in subjects.values() for i in subject.damaged)
        if damaged - old.damaged:
            _log.error("%d embeddings are damaged and left out", len(damaged))
        return Snapshot(revision, subjects, count, damaged)

    def _read(
        self, rows: GalleryReader, records: list[SubjectRecord]
    ) -> dict[str, SubjectReferences]:
        stored: defaultdict[int, list[StoredReference]] = defaultdict(list)
        for reference in rows.references(self._fingerprint, [r.id for r in records]):
            stored[reference.subject_id].append(reference)
        return {record.key: _subject_references(record, stored[record.id]) for record in records}


def _unchanged(record: SubjectRecord, old: Snapshot) -> bool:
    known = old.subjects.get(record.key)
    return known is not None and known.record == record


def _subject_references(record: SubjectRecord, stored: list[StoredReference]) -> SubjectReferences:
    damaged = tuple(reference.image_id for reference in stored if reference.vector is None)
    sound = [reference for reference in stored if reference.vector is not None]
    if not sound:
        return SubjectReferences(record, (), np.empty((0, 0), np.float32), damaged)
    matrix = np.ascontiguousarray([reference.vector for reference in sound], np.float32)
    matrix.flags.writeable = False
    references = tuple(
        Reference(r.image_id, record.name, r.path, r.created_at, row)
        for r, row in zip(sound, matrix, strict=True)
    )
    return SubjectReferences(record, references, matrix, damaged)
