"""From what a job says to its rows: stage, progress, log and a sign of life."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from app.domain.clock import utc_now
from app.domain.errors import StorageError
from app.domain.training import Stage
from app.domain.training_jobs import JobProgress
from app.logs import get_logger
from app.services.training_queue import JobNote, TrainingQueue
from app.worker.channel import LOG, PROGRESS, STAGE, Message

WRITE_SECONDS: Final = 0.5
"""At most so often the database is written, as others wait for it meanwhile."""
BEAT_SECONDS: Final = 5.0
MAX_WAITING: Final = 10_000
"""Log lines that wait while the database can't be written."""
_LEAST_PACE_SECONDS: Final = 1.0

_log = get_logger("facetwin.worker")


class Pace:
    """How long a count still takes, by its pace since the first report of it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counted: tuple[object, ...] = ()
        self._began = (0.0, 0)

    def eta_seconds(self, stage: Stage | None, progress: JobProgress) -> float | None:
        """Seconds to the end of this count; None while that can't be told."""
        now = self._clock()
        counted = (stage, progress.what, progress.total)
        if counted != self._counted or progress.done < self._began[1]:
            # What came before, and a start from a checkpoint, were not done at this pace.
            self._counted, self._began = counted, (now, progress.done)
        seconds, steps = now - self._began[0], progress.done - self._began[1]
        if steps <= 0 or seconds < _LEAST_PACE_SECONDS:
            return None
        return round(seconds / steps * max(0, progress.total - progress.done), 1)


class Diary:
    """Collects the news of one job and writes them, not too often.

    Args:
        queue: Where they are written.
        job_id: Whose news they are.
        clock: Monotonic seconds.
    """

    def __init__(
        self, queue: TrainingQueue, job_id: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._queue = queue
        self._job_id = job_id
        self._clock = clock
        self._pace = Pace(clock)
        self._stage: Stage | None = None
        self._progress: JobProgress | None = None
        self._lines: list[tuple[str, str]] = []
        self._is_new = False
        self._written_at = clock()

    def take(self, message: Message) -> None:
        """Note what the job said."""
        if message["kind"] == STAGE:
            self._stage, self._progress = Stage(message["stage"]), None
        elif message["kind"] == PROGRESS:
            progress = JobProgress(
                message["done"],
                message["total"],
                message["what"],
                message["epoch"],
                message["loss"],
            )
            eta = self._pace.eta_seconds(self._stage, progress)
            self._progress = replace(progress, eta_seconds=eta)
        elif message["kind"] == LOG:
            self._lines.append((message["at"], message["message"]))
            del self._lines[:-MAX_WAITING]
        self._is_new = True

    def log(self, message: str) -> None:
        """A line of the warden's own."""
        self.take({"kind": LOG, "at": utc_now(), "message": message})

    def write(self) -> None:
        """Write what is new, if it is time; what can't be written now is written later."""
        since = self._clock() - self._written_at
        if since >= (WRITE_SECONDS if self._is_new else BEAT_SECONDS):
            self._write()

    def close(self) -> None:
        """Write what is left."""
        if self._is_new:
            self._write()

    def _write(self) -> None:
        self._written_at = self._clock()
        try:
            self._queue.note(self._job_id, JobNote(self._stage, self._progress, self._lines))
        except StorageError as error:
            _log.warning("progress_not_written", reason=error.message)
            return
        self._lines, self._is_new = [], False
