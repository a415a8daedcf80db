"""What has to be done now and then while the service runs, on a thread of its own."""

import time
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Final

import structlog

from app.domain.clock import iso
from app.services.audit import AuditLog
from app.storage.database import Database

PAUSE_SECONDS: Final = 60.0
FIRST_PRUNE_SECONDS: Final = 3600.0
"""A machine may start with a wrong clock; it must not cost the audit log its entries."""
PRUNE_SECONDS: Final = 86_400.0
MAX_CLOCK_STEP_SECONDS: Final = 300.0
_PATIENCE_SECONDS: Final = 0.2
_log = structlog.stdlib.get_logger("facetwin.housekeeping")


class Housekeeping:
    """Empties the database's log where a deletion could not, and ends the audit log's retention.

    Args:
        retention_days: Days that audit entries are kept; 0 keeps all.
    """

    def __init__(self, database: Database, audit: AuditLog, retention_days: int) -> None:
        self._database = database
        self._audit = audit
        self._retention_days = retention_days
        self._closing = Event()
        self._next_prune = time.monotonic() + self._first_prune_seconds()
        self._offset = _clock_offset()
        self._thread = Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop; what is being done is finished first."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def tidy(self) -> None:
        """Do once what is due.

        Raises:
            StorageError: If the database can't be written; it is tried again later.
        """
        # Also after a deletion by another process, which may be gone.
        if self._database.log_bytes:
            self._database.erase_traces(_PATIENCE_SECONDS)
        if time.monotonic() >= self._next_prune:
            self._next_prune = time.monotonic() + PRUNE_SECONDS
            self._prune()

    def _prune(self) -> None:
        """Prune, unless the clock has stepped since the last time: then see what it says later."""
        before, self._offset = self._offset, _clock_offset()
        if abs(self._offset - before) <= MAX_CLOCK_STEP_SECONDS:
            self._audit.prune(self._retention_days)

    def _first_prune_seconds(self) -> float:
        """An hour; a day if the clock says that everything there is to prune is too old."""
        newest = self._audit.tail(1)
        oldest_kept = iso(datetime.now(UTC) - timedelta(days=self._retention_days))
        is_strange = bool(newest) and newest[0].at < oldest_kept
        return PRUNE_SECONDS if is_strange else FIRST_PRUNE_SECONDS

    def _run(self) -> None:
        while not self._closing.wait(PAUSE_SECONDS):
            try:
                self.tidy()
            except Exception as error:  # noqa: BLE001 - the thread must go on
                _log.warning("housekeeping_failed", error=type(error).__name__)


def _clock_offset() -> float:
    """Seconds between the wall clock and the one that never steps."""
    return time.time() - time.monotonic()
