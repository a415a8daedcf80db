"""Rows of the audit log, within the caller's transaction."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from app.domain.audit import Anchor, AuditEntry
from app.storage.tables import AuditAnchor
from app.storage.tables import AuditEntry as AuditTable

_FIELDS: Final = tuple(AuditEntry.__dataclass_fields__)
_PAGE: Final = 1000


class AuditRows:
    """The table `audit_log` and its anchor."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, entries: Sequence[AuditEntry]) -> None:
        """Add entries; their numbers must be new."""
        values = [{name: getattr(entry, name) for name in _FIELDS} for entry in entries]
        self._connection.execute(insert(AuditTable), values)

    def last(self) -> AuditEntry | None:
        """The newest entry."""
        row = self._connection.execute(
            select(AuditTable).order_by(AuditTable.seq.desc()).limit(1)
        ).first()
        return None if row is None else _entry(row)

    def anchor(self) -> Anchor:
        """What retention has removed."""
        row = self._connection.execute(select(AuditAnchor)).one()
        return Anchor(row.pruned_seq, row.pruned_hash)

    def entries(self, after: int = 0) -> Iterator[AuditEntry]:
        """All entries with a number over `after`, oldest first, read page by page."""
        while True:
            rows = self._connection.execute(
                select(AuditTable)
                .where(AuditTable.seq > after)
                .order_by(AuditTable.seq)
                .limit(_PAGE)
            ).all()
            if not rows:
                return
            yield from map(_entry, rows)
            after = rows[-1].seq

    def tail(self, count: int, subject: str | None = None) -> list[AuditEntry]:
        """The newest entries, oldest of them first; only those about one pseudonym, if given."""
        query = select(AuditTable).order_by(AuditTable.seq.desc()).limit(count)
        if subject is not None:
            query = query.where(AuditTable.subject == subject)
        return [_entry(row) for row in reversed(self._connection.execute(query).all())]

    def about(self, subject: str) -> list[AuditEntry]:
        """All entries about one pseudonym, oldest first."""
        rows = self._connection.execute(
            select(AuditTable).where(AuditTable.subject == subject).order_by(AuditTable.seq)
        )
        return [_entry(row) for row in rows]

    def last_about(self, subject: str, action: str) -> AuditEntry | None:
        """The newest entry of this action about a pseudonym."""
        row = self._connection.execute(
            select(AuditTable)
            .where(AuditTable.subject == subject, AuditTable.action == action)
            .order_by(AuditTable.seq.desc())
            .limit(1)
        ).first()
        return None if row is None else _entry(row)

    def last_before(self, at: str) -> AuditEntry | None:
        """The newest entry before which every entry is older than `at` (ISO 8601 UTC).

        Clocks step, so entries need not be in the order of their times.
        """
        first_kept = self._connection.scalars(
            select(func.min(AuditTable.seq)).where(AuditTable.at >= at)
        ).one()
        query = select(AuditTable).order_by(AuditTable.seq.desc()).limit(1)
        if first_kept is not None:
            query = query.where(AuditTable.seq < first_kept)
        row = self._connection.execute(query).first()
        return None if row is None else _entry(row)

    def prune(self, anchor: Anchor) -> None:
        """Remove all entries up to the anchor; the table's trigger allows no others."""
        self._connection.execute(
            update(AuditAnchor).values(pruned_seq=anchor.seq, pruned_hash=anchor.hash)
        )
        self._connection.execute(delete(AuditTable).where(AuditTable.seq <= anchor.seq))


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(**{name: getattr(row, name) for name in _FIELDS})
