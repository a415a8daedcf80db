"""Training jobs as their process sees them. Whoever calls this holds the worker's lock.

So no two processes run jobs at one time, and a job that is said to run while nobody holds the
lock belongs to a process that died.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.clock import utc_now
from app.domain.training import JobState, Stage
from app.domain.training_jobs import JobEnding, JobFailure, JobProgress, JobRecord
from app.storage.database import Database
from app.storage.job_rows import JobLogRows, JobRows

INTERRUPTED: Final = "interrupted"
"""Code of the failure of a job whose process died or was told to stop."""


@dataclass(frozen=True, slots=True)
class JobNote:
    """News of a running job.

    Attributes:
        lines: New lines of its log, as (time, message).
    """

    stage: Stage | None
    progress: JobProgress | None
    lines: Sequence[tuple[str, str]] = ()


class TrainingQueue:
    """Takes jobs and says what becomes of them. It never changes the gallery's revision."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def counts(self) -> Mapping[JobState, int]:
        """How many jobs are in each state.

        Raises:
            StorageError: If the database can't be read.
        """
        with self._database.read_apart() as connection:
            return JobRows(connection).counts()

    def claim(self) -> JobRecord | None:
        """Begin the next queued job; None if none waits.

        Raises:
            StorageError: If the database can't be written.
        """
        with self._database.write_apart() as connection:
            job = JobRows(connection).begin_next(utc_now())
            if job is not None:
                again = f" again, attempt {job.attempts}" if job.attempts > 1 else ""
                JobLogRows(connection).append(job.job_id, [(utc_now(), f"Job begun{again}.")])
            return job

    def note(self, job_id: str, note: JobNote) -> None:
        """Write what is new, and that the job is alive.

        Raises:
            StorageError: If the database can't be written.
        """
        with self._database.write_apart() as connection:
            JobRows(connection).beat(job_id, note.stage, note.progress, utc_now())
            JobLogRows(connection).append(job_id, note.lines)

    def state_of(self, job_id: str) -> JobState | None:
        """Where a job stands; None if there is none of this id.

        Raises:
            StorageError: If the database can't be read.
        """
        with self._database.read_apart() as connection:
            job = JobRows(connection).get(job_id)
            return None if job is None else job.state

    def is_cancelled(self, job_id: str) -> bool:
        """Whether the job was asked to stop, or was erased.

        Raises:
            StorageError: If the database can't be read.
        """
        with self._database.read_apart() as connection:
            return JobRows(connection).is_cancelled(job_id)

    def finish(self, job_id: str, ending: JobEnding) -> None:
        """Write how a job ended.

        Raises:
            StorageError: If the database can't be written.
        """
        with self._database.write_apart() as connection:
            _finish(JobRows(connection), JobLogRows(connection), job_id, ending)

    def bury(self) -> list[str]:
        """End the jobs that are said to run: their process is dead.

        Returns:
            Their ids.

        Raises:
            StorageError: If the database can't be written.
        """
        with self._database.write_apart() as connection:
            rows, log = JobRows(connection), JobLogRows(connection)
            dead = [job for job in rows.alive() if job.state is JobState.RUNNING]
            for job in dead:
                _finish(rows, log, job.job_id, _ending_of_dead(job))
            return [job.job_id for job in dead]


def _finish(rows: JobRows, log: JobLogRows, job_id: str, ending: JobEnding) -> None:
    at = utc_now()
    if rows.end(job_id, ending, at):
        lines = [f"Job {ending.state.value}."]
        if ending.error is not None:
            # A line for each problem, as a long line of all of them would be cut.
            found = [f"{each['code']}: {each['message']}" for each in ending.error.problems]
            lines = [f"Job {ending.state.value}: {ending.error.heading}".rstrip(), *found]
        log.append(job_id, [(at, line) for line in lines])


def _ending_of_dead(job: JobRecord) -> JobEnding:
    if job.cancel_requested:
        return JobEnding(JobState.CANCELLED)
    failure = JobFailure(
        INTERRUPTED,
        "The training process ended without a word: it was killed, or the machine was restarted. "
        "Resume the job to go on from its last checkpoint.",
    )
    return JobEnding(JobState.INTERRUPTED, failure)
