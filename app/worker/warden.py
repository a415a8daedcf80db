"""The process that runs queued jobs one after the other, and ends when none is left."""

import signal
import time
from collections.abc import Sequence
from typing import Final

from app.domain.errors import StorageError
from app.domain.training import JobState
from app.domain.training_jobs import JobEnding, JobRecord
from app.logs import get_logger
from app.services.training_queue import TrainingQueue
from app.settings import Settings
from app.storage.database import Database
from app.worker.attempt import Attempt
from app.worker.leftovers import sweep
from app.worker.lock import WorkerLock
from app.worker.log_file import trim_log

PATIENCE_SECONDS: Final = 2.0
"""For the lock: whoever looks whether it is free has it for a moment."""
_RETRY_SECONDS: Final = 1.0
_FINISH_SECONDS: Final = 60.0
"""How long the end of a job is tried to be written: a disk may be full for a moment."""

_log = get_logger("facetwin.worker")


class Warden:
    """Runs jobs in child processes.

    Args:
        settings: Where everything lies.
        database: Migrated.
        command: Starts a process of training; `--job ID` is added.
    """

    def __init__(self, settings: Settings, database: Database, command: Sequence[str]) -> None:
        self._settings = settings
        self._queue = TrainingQueue(database)
        self._command = command
        self._lock = WorkerLock(settings.training_dir)
        self._told = False

    def obey_signals(self) -> None:
        """Let SIGTERM and SIGINT end this process in order; the running job is interrupted."""
        signal.signal(signal.SIGTERM, self._tell)
        signal.signal(signal.SIGINT, self._tell)

    def run(self) -> None:
        """Run jobs until none is queued, or another warden runs them.

        Raises:
            StorageError: If the database or the lock can't be used.
        """
        while self._hold_and_work() and not self._told and self._is_work_left():
            # A job that was queued when the lock was still held: nobody else would see to it.
            pass

    def _hold_and_work(self) -> bool:
        """Work while the lock is held; returns False if another warden holds it."""
        with self._lock.held(PATIENCE_SECONDS) as lock:
            if lock is None:
                return False
            self._queue.bury()
            sweep(self._settings, self._queue)
            while not self._told and (job := self._queue.claim()) is not None:
                self._run(job, lock)
                sweep(self._settings, self._queue)
        return True

    def _is_work_left(self) -> bool:
        return self._queue.counts()[JobState.QUEUED] > 0

    def _run(self, job: JobRecord, lock: int) -> None:
        _log.info("job_begins", job_id=job.job_id, attempt=job.attempts)
        trim_log(self._settings.training_dir)
        with Attempt(
            job,
            self._settings,
            self._queue,
            command=self._command,
            lock=lock,
            told=lambda: self._told,
        ) as attempt:
            ending = attempt.run()
        self._finish(job, ending)

    def _finish(self, job: JobRecord, ending: JobEnding) -> None:
        """Write how it ended.

        Raises:
            StorageError: If that fails for long; the job is then found interrupted.
        """
        _log.info("job_ended", job_id=job.job_id, state=ending.state.value)
        deadline = time.monotonic() + _FINISH_SECONDS
        while True:
            try:
                self._queue.finish(job.job_id, ending)
            except StorageError as error:
                if self._told or time.monotonic() >= deadline:
                    raise
                _log.warning("end_not_written", job_id=job.job_id, reason=error.message)
                time.sleep(_RETRY_SECONDS)
            else:
                return

    def _tell(self, *_: object) -> None:
        self._told = True
