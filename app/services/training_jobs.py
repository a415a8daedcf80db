"""Training jobs as their owner sees them: submit, watch, cancel, resume."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal
from uuid import uuid4

from sqlalchemy import Connection

from app.domain.audit import Action, Actor, AuditEvent
from app.domain.clock import utc_now
from app.domain.errors import (
    InvalidRequestError,
    JobConflictError,
    JobNotFoundError,
    OverloadedError,
    ReportNotFoundError,
    StorageError,
    TrainingUnavailableError,
)
from app.domain.subjects import subject_key
from app.domain.training import JobState, TrainingOptions
from app.domain.training_jobs import JobEnding, JobRecord, LogLine, check_options
from app.services.audit import AuditLog
from app.storage.database import Database
from app.storage.job_rows import JobLogRows, JobRows

JOB_MODULE: Final = "app.training.job.run"
"""What runs a job; the worker imports it, nothing else does."""

MAX_QUEUED: Final = 100
RESUMABLE: Final = frozenset({JobState.FAILED, JobState.INTERRUPTED})

ReportKind = Literal["html", "json"]


def training_is_installed() -> bool:
    """Whether TensorFlow is there; it is not imported."""
    return find_spec("tensorflow") is not None


def job_folder(training_dir: Path, job_id: str) -> Path:
    """Where a job keeps its files: checkpoints, split, report."""
    return training_dir / "jobs" / job_id


def _unwatched() -> None:
    pass


class TrainingJobs:
    """All jobs of one database; safe to use from many threads and processes.

    Args:
        database: Migrated.
        audit: Where it is logged who asked for what.
        training_dir: Holds the folders of the jobs.
        model_dir: Of the bundles; their names are taken.
        queued: Called when a job waits to be run.
        installed: Whether jobs can be run at all.
    """

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        training_dir: Path,
        model_dir: Path,
        *,
        queued: Callable[[], None] = _unwatched,
        installed: Callable[[], bool] = training_is_installed,
    ) -> None:
        self._database = database
        self._audit = audit
        self._training_dir = training_dir
        self._model_dir = model_dir
        self._queued = queued
        self._installed = installed

    def submit(self, options: TrainingOptions, actor: Actor) -> JobRecord:
        """Queue a new job.

        Raises:
            TrainingUnavailableError: If TensorFlow is not installed.
            InvalidRequestError: If an option is not possible, or the bundle's name is taken.
            OverloadedError: If too many jobs wait.
            StorageError: If it can't be stored; then there is no job.
        """
        self._require_installed()
        check_options(options)
        job_id = uuid4().hex
        with self._database.write_apart() as connection:
            rows = JobRows(connection)
            self._require_room(rows)
            self._require_free(rows, options.version)
            rows.add(job_id, subject_key(options.subject), options, utc_now())
            job = _existing(rows, job_id)
            self._log(connection, Action.TRAIN, actor, job, "queued")
        self._queued()
        return job

    def newest(self, count: int) -> list[JobRecord]:
        """The jobs that were submitted last, the newest first.

        Raises:
            StorageError: If the database can't be read.
        """
        with self._database.read_apart() as connection:
            return JobRows(connection).newest(count)

    def get(self, job_id: str) -> JobRecord:
        """A job as it stands.

        Raises:
            JobNotFoundError: If there is none of this id.
            StorageError: If the database can't be read.
        """
        with self._database.read_apart() as connection:
            return _existing(JobRows(connection), job_id)

    def log(self, job_id: str, after: int = 0) -> list[LogLine]:
        """The lines of a job's log with a number over `after`.

        Raises:
            JobNotFoundError: If there is none of this id.
            StorageError: If the database can't be read.
        """
        return self.watch(job_id, after)[1]

    def watch(self, job_id: str, after: int = 0) -> tuple[JobRecord, list[LogLine]]:
        """`get` and `log` of one moment; raises as they do."""
        with self._database.read_apart() as connection:
            job = _existing(JobRows(connection), job_id)
            return job, JobLogRows(connection).lines(job_id, after)

    def counts(self) -> Mapping[JobState, int]:
        """How many jobs are in each state.

        Raises:
            StorageError: If the database can't be read.
        """
        with self._database.read_apart() as connection:
            return JobRows(connection).counts()

    def cancel(self, job_id: str, actor: Actor) -> JobRecord:
        """Take a job out of the queue, or ask its process to stop it.

        Returns:
            The job. If it runs, `cancel_requested` is set, and it is cancelled in a few seconds
            unless it ends before.

        Raises:
            JobNotFoundError: If there is none of this id.
            JobConflictError: If it ended otherwise than cancelled.
            StorageError: If it can't be stored; then the job goes on.
        """
        with self._database.write_apart() as connection:
            rows = JobRows(connection)
            job = _existing(rows, job_id)
            if job.state is JobState.CANCELLED or job.cancel_requested:
                return job
            if job.state.ended:
                raise JobConflictError(
                    f"The job has ended already: it {_WORDS[job.state]}.", state=job.state.value
                )
            if job.state is JobState.QUEUED:
                rows.end(job_id, JobEnding(JobState.CANCELLED), utc_now())
            else:
                rows.request_cancel(job_id)
            job = _existing(rows, job_id)
            outcome = "cancelled" if job.state.ended else "requested"
            self._log(connection, Action.CANCEL_TRAINING, actor, job, outcome)
        return job

    def resume(self, job_id: str, actor: Actor) -> JobRecord:
        """Queue a job again that failed or was interrupted; it goes on from its last checkpoint.

        Raises:
            TrainingUnavailableError: If TensorFlow is not installed.
            JobNotFoundError: If there is none of this id.
            JobConflictError: If it waits or runs, has succeeded, or was cancelled.
            OverloadedError: If too many jobs wait.
            StorageError: If it can't be stored.
        """
        self._require_installed()
        with self._database.write_apart() as connection:
            rows = JobRows(connection)
            job = _existing(rows, job_id)
            if job.state not in RESUMABLE:
                raise JobConflictError(
                    "Only a job that failed or was interrupted can be resumed; this one "
                    f"{_WORDS[job.state]}.",
                    state=job.state.value,
                )
            self._require_room(rows)
            rows.requeue(job_id)
            job = _existing(rows, job_id)
            self._log(connection, Action.RESUME_TRAINING, actor, job, "queued")
        self._queued()
        return job

    def report(self, job_id: str, kind: ReportKind) -> bytes:
        """The report of a job, as a page for people or as JSON.

        Raises:
            JobNotFoundError: If there is no job of this id.
            ReportNotFoundError: If it has no report.
            StorageError: If it can't be read.
        """
        path = self.report_path(job_id, kind)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise _no_report() from None
        except OSError as error:
            raise StorageError(f"The report can't be read: {error.strerror}.") from error

    def report_path(self, job_id: str, kind: ReportKind) -> Path:
        """The file of a job's report.

        Raises:
            JobNotFoundError: If there is no job of this id.
            ReportNotFoundError: If it has no report.
            StorageError: If the database can't be read.
        """
        self.get(job_id)
        path = job_folder(self._training_dir, job_id) / f"report.{kind}"
        if not path.is_file():
            raise _no_report()
        return path

    def _require_installed(self) -> None:
        if not self._installed():
            raise TrainingUnavailableError(
                "Training needs TensorFlow, which is not installed here: pip install "
                "'facetwin[train]', or use the image that trains."
            )

    def _require_room(self, rows: JobRows) -> None:
        if rows.counts()[JobState.QUEUED] >= MAX_QUEUED:
            raise OverloadedError(
                f"{MAX_QUEUED} training jobs wait already. Cancel some of them.", retry_after=60
            )

    def _require_free(self, rows: JobRows, version: str | None) -> None:
        if version is None:
            return
        if (self._model_dir / version).exists():
            raise InvalidRequestError(
                f"There is a bundle {version} already; they are never overwritten. Choose another "
                "version.",
                field="version",
            )
        if version in {job.options.version for job in rows.alive()}:
            raise InvalidRequestError(
                f"Another job is to make the bundle {version}. Choose another version.",
                field="version",
            )

    def _log(
        self, connection: Connection, action: Action, actor: Actor, job: JobRecord, outcome: str
    ) -> None:
        person = self._audit.pseudonym(subject_key(job.options.subject))
        details = {"job_id": job.job_id, "preset": job.options.preset.value}
        self._audit.append(connection, AuditEvent(action, actor, person, outcome, details))


_WORDS: Final = {
    JobState.QUEUED: "waits in the queue",
    JobState.RUNNING: "is running",
    JobState.SUCCEEDED: "has succeeded",
    JobState.FAILED: "has failed",
    JobState.CANCELLED: "was cancelled",
    JobState.INTERRUPTED: "was interrupted",
}


def _existing(rows: JobRows, job_id: str) -> JobRecord:
    job = rows.get(job_id)
    if job is None:
        raise JobNotFoundError("There is no training job of this id.")
    return job


def _no_report() -> ReportNotFoundError:
    return ReportNotFoundError(
        "The job has no report: it has not come that far, or what it held was erased."
    )
