"""Sees to it that queued jobs are run: starts the worker, and buries jobs of a dead one.

The service has one for as long as it serves; a command looks now and then while it waits.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Final

import app
from app.domain.errors import FacetwinError, StorageError
from app.domain.training import JobState
from app.logs import get_logger
from app.services.training_queue import TrainingQueue
from app.settings import Settings
from app.storage.database import Database
from app.worker.handover import write_handover
from app.worker.leftovers import sweep
from app.worker.lock import WorkerLock
from app.worker.log_file import WORKER_LOG, open_log

WORKER: Final = (sys.executable, "-P", "-m", "app.worker")
"""`-P`: a folder `app` in the working directory is not this one."""
LOOK_SECONDS: Final = 1.0
FAREWELL_SECONDS: Final = 4.5
"""For the worker to end when its container is stopped, which is given 10 s by default."""
_MAX_PAUSE_SECONDS: Final = 60.0
_INIT: Final = 1

_log = get_logger("facetwin.training")


def _never() -> bool:
    return False


class Supervisor:
    """Looks at the queue again and again, on a thread of its own, or when `look` is called.

    The worker outlives the process that started it, unless that is the first of its container.

    Args:
        settings: What the worker is given.
        database: Migrated.
        command: Starts the worker; None starts none.
        draining: Whether the service is being stopped: then no worker is started any more.
        takes_worker_along: Whether the worker ends with this process.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        command: Sequence[str] | None = WORKER,
        draining: Callable[[], bool] = _never,
        takes_worker_along: bool | None = None,
    ) -> None:
        self._settings = settings
        self._queue = TrainingQueue(database)
        self._lock = WorkerLock(settings.training_dir)
        self._command = command
        self._draining = draining
        self._takes_along = (
            os.getpid() == _INIT if takes_worker_along is None else takes_worker_along
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._failures = 0
        self._not_before = float("-inf")
        self._wake = Event()
        self._closing = Event()
        self._thread = Thread(target=self._run, name="training", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once; a job was queued."""
        self._wake.set()

    def look(self) -> None:
        """Look once: bury the jobs of a dead worker, start one if a job is queued.

        Raises:
            StorageError: If the database, the lock or the log file can't be used.
        """
        self._reap()
        counts = self._queue.counts()
        if not counts[JobState.QUEUED] and not counts[JobState.RUNNING]:
            return
        with self._lock.idle() as is_idle:
            if not is_idle:
                return
            if counts[JobState.RUNNING]:
                for job_id in self._queue.bury():
                    _log.warning("job_found_dead", job_id=job_id)
                sweep(self._settings, self._queue)
        if counts[JobState.QUEUED] and self._may_start():
            self._start()

    def close(self) -> None:
        """Stop looking; the worker goes on, unless its time ends with this process's."""
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._takes_along:
            self._say_farewell()
        self._reap()
        if self._process is not None:
            # It is on its own from here on; Python would warn of a child that was not waited for.
            self._process.returncode = 0

    def _run(self) -> None:
        told = ""
        while not self._closing.is_set():
            if self._draining() and self._takes_along:
                # At once, while requests are finished; `close` waits for it.
                self._interrupt()
            try:
                self.look()
                told = ""
            except FacetwinError as error:
                if error.message != told:
                    _log.error("training_not_supervised", reason=error.message)
                told = error.message
            except Exception as error:  # noqa: BLE001 - the thread must go on
                _log.error("training_not_supervised", error=type(error).__name__)
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()

    def _may_start(self) -> bool:
        return (
            self._command is not None
            and self._process is None
            and not self._closing.is_set()
            and not self._draining()
            and time.monotonic() >= self._not_before
        )

    def _start(self) -> None:
        assert self._command is not None
        try:
            output = open_log(self._settings.training_dir)
        except OSError as error:
            raise StorageError(
                f"{self._settings.training_dir / WORKER_LOG} can't be written: {error.strerror}."
            ) from error
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this very package
                self._command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=_environment(),
                # Signals to this process's group, as Ctrl-C sends them, are not for it.
                start_new_session=True,
                close_fds=True,
            )
        except OSError as error:
            message = f"The training process can't be started: {error.strerror}."
            raise StorageError(message) from error
        finally:
            os.close(output)
        assert self._process.stdin is not None
        with suppress(BrokenPipeError), self._process.stdin as given:
            given.write(write_handover(self._settings))
        _log.info("worker_started", pid=self._process.pid)

    def _reap(self) -> None:
        """Note whether the worker that was started here has ended."""
        if self._process is None or self._process.poll() is None:
            return
        code, self._process = self._process.returncode, None
        if not code:
            self._failures = 0
            return
        self._failures += 1
        pause = min(2.0**self._failures, _MAX_PAUSE_SECONDS)
        self._not_before = time.monotonic() + pause
        path = str(self._settings.training_dir / WORKER_LOG)
        _log.error("worker_failed", code=code, log=path, pause=pause)

    def _interrupt(self) -> None:
        """Ask the worker to end; its job is then found interrupted, and can go on later."""
        with suppress(StorageError, ProcessLookupError, PermissionError):
            holder = self._lock.holder()
            if holder is not None:
                os.kill(holder, signal.SIGTERM)
        if self._process is not None:
            self._process.terminate()

    def _say_farewell(self) -> None:
        self._interrupt()
        deadline = time.monotonic() + FAREWELL_SECONDS
        with suppress(StorageError):
            while self._lock.holder() is not None and time.monotonic() < deadline:
                time.sleep(0.05)


def _environment() -> dict[str, str]:
    """This process's own, and where this very package is found, however it was started."""
    root = str(Path(app.__file__).parents[1])
    others = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, *([others] if others else [])])}
