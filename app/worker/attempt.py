"""One attempt at one job: its process is started, watched, and ended if it must be."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from app.domain.errors import StorageError, TrainingLimitError
from app.domain.training import JobState, Preset
from app.domain.training_jobs import JobEnding, JobFailure, JobRecord
from app.logs import get_logger
from app.services.training_jobs import job_folder
from app.services.training_queue import INTERRUPTED, TrainingQueue
from app.settings import Settings
from app.storage.job_json import failure_from_json, outcome_from_json
from app.worker.channel import ENDINGS, FAILED, SUCCEEDED, Message, Receiver
from app.worker.diary import Diary
from app.worker.handover import Assignment, write_handover
from app.worker.leftovers import SCRATCH
from app.worker.limits import be_nice, resident_bytes

GRACE_SECONDS: Final = 2.5
"""For a job to stop by itself; then it is killed. With the looks, within 5 s of being asked."""
TICK_SECONDS: Final = 0.25
ASK_SECONDS: Final = 0.5
"""Between two looks whether the job is cancelled."""
_EXIT_SECONDS: Final = 5.0
_MIB: Final = 1024**2

_log = get_logger("facetwin.worker")


class Reason(Enum):
    """Why a job's process is ended from outside."""

    CANCELLED = auto()
    TOLD = auto()
    """The warden itself shall end."""
    TIME = auto()
    MEMORY = auto()


@dataclass(frozen=True, slots=True)
class Limits:
    """What an attempt may take: seconds, and bytes of memory (resident)."""

    seconds: float
    memory_bytes: int


class Attempt:
    """A context manager around the process of a job.

    Args:
        job: What it shall do.
        settings: Where, and how much it may take.
        queue: Where its progress is written.
        command: Starts a process of training.
        lock: Descriptor of the worker's lock; the process holds it too, so that no other job
            begins as long as it lives.
        told: Whether the warden shall end.
    """

    def __init__(
        self,
        job: JobRecord,
        settings: Settings,
        queue: TrainingQueue,
        *,
        command: Sequence[str],
        lock: int,
        told: Callable[[], bool],
    ) -> None:
        self._job_id = job.job_id
        self._limits = Limits(settings.training_hours * 3600, settings.training_memory_bytes)
        self._queue = queue
        self._told = told
        self._diary = Diary(queue, job.job_id)
        self._process, self._receiver = _start(job, settings, command, lock)
        self._began = time.monotonic()
        self._asked_at = self._began
        self._peak_bytes = 0
        self._reason: Reason | None = None
        self._kill_at = float("inf")
        self._heard: Message = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Nothing is left behind, whatever has happened here.
        self._process.kill()
        self._process.wait()
        self._receiver.close()

    def run(self) -> JobEnding:
        """Watch over the process until it ended; returns how."""
        while not self._receiver.ended:
            self._listen(TICK_SECONDS)
            self._diary.write()
            self._watch()
        self._process.wait()
        seconds, peak = time.monotonic() - self._began, self._peak_bytes / _MIB
        self._diary.log(f"It took {seconds:.0f} s and at most {peak:.0f} MiB of memory.")
        self._diary.close()
        return self._ending()

    def _listen(self, seconds: float) -> None:
        for message in self._receiver.receive(seconds):
            if message["kind"] in ENDINGS:
                self._heard = message
                self._kill_at = time.monotonic() + _EXIT_SECONDS
            else:
                self._diary.take(message)

    def _watch(self) -> None:
        """End the process if there is a reason to."""
        resident = resident_bytes(self._process.pid)
        self._peak_bytes = max(self._peak_bytes, resident)
        if self._reason is None and not self._heard:
            self._reason = self._reason_to_end(resident)
            if self._reason is not None:
                self._end()
        if time.monotonic() >= self._kill_at:
            self._process.kill()

    def _end(self) -> None:
        _log.info("ending_job", job_id=self._job_id, reason=str(self._reason))
        if self._reason is Reason.MEMORY:
            # Waiting would cost other programs theirs.
            self._process.kill()
            return
        self._process.terminate()
        self._kill_at = time.monotonic() + GRACE_SECONDS

    def _reason_to_end(self, resident: int) -> Reason | None:
        if self._told():
            return Reason.TOLD
        if resident > self._limits.memory_bytes:
            return Reason.MEMORY
        now = time.monotonic()
        if now - self._began > self._limits.seconds:
            return Reason.TIME
        if now - self._asked_at >= ASK_SECONDS:
            self._asked_at = now
            return Reason.CANCELLED if self._is_cancelled() else None
        return None

    def _is_cancelled(self) -> bool:
        try:
            return self._queue.is_cancelled(self._job_id)
        except StorageError as error:
            _log.warning("not_asked_whether_cancelled", reason=error.message)
            return False

    def _ending(self) -> JobEnding:
        if self._heard.get("kind") == SUCCEEDED:
            return JobEnding(JobState.SUCCEEDED, outcome=outcome_from_json(self._heard["outcome"]))
        if self._reason is not None:
            return self._ending_by(self._reason)
        if self._heard.get("kind") == FAILED:
            return JobEnding(JobState.FAILED, failure_from_json(self._heard["error"]))
        message = (
            f"The job's process {_how(self._process.returncode)}. Resume the job to go on from its "
            "last checkpoint."
        )
        return JobEnding(JobState.INTERRUPTED, JobFailure(INTERRUPTED, message))

    def _ending_by(self, reason: Reason) -> JobEnding:
        if reason is Reason.CANCELLED:
            return JobEnding(JobState.CANCELLED)
        if reason is Reason.TOLD:
            message = "The training process was told to end. Resume the job to go on."
            return JobEnding(JobState.INTERRUPTED, JobFailure(INTERRUPTED, message))
        if reason is Reason.TIME:
            message = (
                f"The job took longer than {self._limits.seconds / 3600:g} h "
                "(FACETWIN_TRAINING_HOURS). Raise the limit and resume it, or train on less."
            )
        else:
            message = (
                f"The job took more than {self._limits.memory_bytes / _MIB:.0f} MiB of memory "
                "(FACETWIN_TRAINING_MEMORY_BYTES). Raise the limit and resume it, or train on less."
            )
        return JobEnding(JobState.FAILED, JobFailure(TrainingLimitError.code, message))


def _start(
    job: JobRecord, settings: Settings, command: Sequence[str], lock: int
) -> tuple[subprocess.Popen[bytes], Receiver]:
    reader, writer = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603 - this program again
            [*command, "--job", job.job_id],
            stdin=subprocess.PIPE,
            pass_fds=(writer, lock),
            env=_environment(os.environ, job, job_folder(settings.training_dir, job.job_id)),
        )
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    be_nice(process.pid)
    assignment = Assignment(job.job_id, job.options, writer, os.getpid())
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as given:
        given.write(write_handover(settings, assignment))
    return process, Receiver(reader)


def _environment(given: Mapping[str, str], job: JobRecord, folder: Path) -> dict[str, str]:
    """What TensorFlow likes to know, where nobody said otherwise, and where passing files go."""
    # oneDNN's convolutions train twice as fast on processors without AVX-512, where it is off.
    defaults = {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "1"}
    if job.options.preset is Preset.SEED:
        # 39 million weights: what TensorFlow hoards of them would be missing for the export.
        defaults["TF_ONEDNN_USE_SYSTEM_ALLOCATOR"] = "1"
    return {**defaults, **given, "TMPDIR": str(folder.absolute() / SCRATCH)}


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"was ended by {name}" + (
            ", perhaps as memory ran out" if -code == signal.SIGKILL else ""
        )
    return "ended without a word" + ("" if code is None else f" ({code})")
