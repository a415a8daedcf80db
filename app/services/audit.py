"""The audit log: what changes the gallery is logged with the change, verdicts shortly after.

An enrolment or a deletion and its entry are one transaction, so neither is ever there without the
other. A verdict must not wait for the disk: its entry is queued and written within `FLUSH_SECONDS`
together with those of the same moment, so a crash can lose the entries of that moment.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event, Lock, Thread
from typing import Final

import structlog
from sqlalchemy import Connection

from app.domain.audit import (
    FIRST_PREVIOUS,
    SERVICE,
    Action,
    Anchor,
    AuditEntry,
    AuditEvent,
    ChainReport,
    check_chain,
)
from app.domain.clock import iso, utc_now
from app.domain.signing import ServiceKey
from app.storage.audit_rows import AuditRows
from app.storage.database import Database

FLUSH_SECONDS: Final = 0.2
MAX_QUEUED: Final = 10_000
"""Entries that wait while the database can't be written; then the oldest of them are given up."""

MAX_BATCH: Final = 200
"""Entries in one transaction, so that other writers need not wait long."""

_log = structlog.stdlib.get_logger("facetwin.audit")


def log_is_empty(database: Database) -> bool:
    """Whether nothing was ever logged.

    Raises:
        StorageError: If the database can't be read.
    """
    with database.read_apart() as connection:
        rows = AuditRows(connection)
        return rows.last() is None and not rows.anchor().seq


class AuditLog:
    """Writes and checks the log; safe to use from many threads and processes."""

    def __init__(self, database: Database, key: ServiceKey) -> None:
        self._database = database
        self.key = key
        """What signs entries and receipts."""
        self._queue: list[tuple[str, AuditEvent]] = []
        self._lock = Lock()
        self._writing = Lock()
        self._waiting = Event()
        self._closing = Event()
        self._thread: Thread | None = None
        self.lost = 0
        """Entries that were given up since the start."""
        self.failing = False
        """Whether the last attempt to write queued entries failed."""

    @property
    def waiting(self) -> int:
        """Entries that are not written yet."""
        return len(self._queue)

    def pseudonym(self, subject_key: str) -> str:
        """What the log calls a person."""
        return self.key.pseudonym(subject_key)

    def append(self, connection: Connection, event: AuditEvent) -> AuditEntry:
        """Add an entry within the caller's write transaction, and so only if that commits."""
        return self._append(AuditRows(connection), [(utc_now(), event)])[-1]

    def record(self, event: AuditEvent) -> None:
        """Add an entry soon; never waits and never fails."""
        with self._lock:
            self._queue.append((utc_now(), event))
            if len(self._queue) > MAX_QUEUED:
                del self._queue[0]
                self.lost += 1
            self._waiting.set()
            if self._thread is None and not self._closing.is_set():
                self._thread = Thread(target=self._run, name="audit", daemon=True)
                self._thread.start()

    def flush(self, batches: int | None = None) -> None:
        """Write what was recorded until now, or the oldest `batches` of `MAX_BATCH` entries of it.

        Raises:
            StorageError: If it can't be written; it then waits on.
        """
        # What comes meanwhile is for the next time: there may be no end of it.
        for _ in range(1 + self.waiting // MAX_BATCH if batches is None else batches):
            self._write_batch()

    def _write_batch(self) -> bool:
        """Write the oldest entries that wait; returns whether there were any."""
        # One at a time: who asks for a flush also waits for the batch that is on its way.
        with self._writing:
            with self._lock:
                batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
            if not batch:
                return False
            written = False
            try:
                with self._database.write_apart() as connection:
                    self._append(AuditRows(connection), batch)
                written = True
            finally:
                if not written:
                    with self._lock:
                        self._queue[:0] = batch
                self._tell(written=written)
        return True

    def _tell(self, *, written: bool) -> None:
        """Log once that entries can't be written, and once that they can again."""
        if written == self.failing:
            event = "audit_recovered" if written else "audit_failing"
            _log.warning(event, lost=self.lost)
        self.failing = not written

    def verify(self, contains: str | None = None) -> ChainReport:
        """Check the whole chain.

        Args:
            contains: Hash of an entry that must still be there.

        Raises:
            StorageError: If it can't be read.
        """
        with self._database.read_apart() as connection:
            rows = AuditRows(connection)
            anchor = rows.anchor()
            return check_chain(rows.entries(anchor.seq), anchor, self.key, contains)

    def tail(self, count: int, subject: str | None = None) -> list[AuditEntry]:
        """The newest entries, oldest of them first; `subject` is a pseudonym."""
        with self._database.read_apart() as connection:
            return AuditRows(connection).tail(count, subject)

    def about(self, subject: str) -> list[AuditEntry]:
        """All entries about one pseudonym, oldest first."""
        with self._database.read_apart() as connection:
            return AuditRows(connection).about(subject)

    def prune(self, days: int) -> int:
        """Remove entries older than `days`; 0 keeps all. The newest one always stays.

        Returns:
            How many were removed.

        Raises:
            StorageError: If the log can't be written.
        """
        if not days:
            return 0
        oldest_kept = iso(datetime.now(UTC) - timedelta(days=days))
        with self._database.write_apart() as connection:
            rows = AuditRows(connection)
            through, before = rows.last_before(oldest_kept), rows.anchor()
            if through is None:
                return 0
            details = {"through": through.seq, "hash": through.hash}
            self._append(rows, [(utc_now(), AuditEvent(Action.PRUNE, SERVICE, details=details))])
            rows.prune(Anchor(through.seq, through.hash))
        return through.seq - before.seq

    def close(self) -> None:
        """Write what waits, and stop.

        Raises:
            StorageError: If it can't be written; it is then lost.
        """
        self._closing.set()
        self._waiting.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._waiting.wait()
            # What comes within this time goes to the disk together; others may write meanwhile.
            self._closing.wait(FLUSH_SECONDS)
            try:
                self._write_batch()
            except Exception:  # noqa: BLE001 - the thread must go on; `failing` and the log tell
                self._closing.wait(FLUSH_SECONDS * 10)
            with self._lock:
                if not self._queue:
                    self._waiting.clear()

    def _append(
        self, rows: AuditRows, events: Sequence[tuple[str, AuditEvent]]
    ) -> list[AuditEntry]:
        last = rows.last()
        anchor = rows.anchor()
        seq, previous = (last.seq, last.hash) if last else (anchor.seq, anchor.hash)
        added = []
        for at, event in events:
            seq += 1
            entry = self._entry(seq, previous, at, event)
            added.append(entry)
            previous = entry.hash
        rows.append(added)
        return added

    def _entry(self, seq: int, previous: str, at: str, event: AuditEvent) -> AuditEntry:
        details = dict(event.details)
        if event.actor.request_id is not None:
            details["request_id"] = event.actor.request_id
        entry = AuditEntry(
            seq=seq,
            at=at,
            actor=event.actor.name,
            action=event.action.value,
            subject=event.subject,
            outcome=event.outcome,
            details=details,
            key_id=self.key.key_id,
            previous=previous or FIRST_PREVIOUS,
        )
        return replace(entry, hash=entry.signed(self.key))
