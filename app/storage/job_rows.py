"""Rows of training jobs and of their log, within the caller's transaction."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from app.domain.training import JobState, Stage, TrainingOptions
from app.domain.training_jobs import JobEnding, JobProgress, JobRecord, LogLine
from app.storage.job_json import (
    failure_from_json,
    failure_to_json,
    options_from_json,
    options_to_json,
    outcome_from_json,
    outcome_to_json,
    progress_from_json,
    progress_to_json,
)
from app.storage.tables import TrainingJob, TrainingLogLine

MAX_LINES: Final = 10_000
"""Lines that are kept of one job's log."""
MAX_MESSAGE: Final = 2000

_FULL: Final = "The log is full; what comes after this is not kept."
_ALIVE: Final = (JobState.QUEUED, JobState.RUNNING)


class JobRows:
    """The table `training_jobs`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, job_id: str, subject_key: str, options: TrainingOptions, at: str) -> None:
        """Put a new job at the end of the queue."""
        values = {
            "job_id": job_id,
            "state": JobState.QUEUED,
            "place": self._last_place() + 1,
            "subject_key": subject_key,
            "options": options_to_json(options),
            "attempts": 0,
            "cancel_requested": False,
            "created_at": at,
        }
        self._connection.execute(insert(TrainingJob).values(values))

    def get(self, job_id: str) -> JobRecord | None:
        """A job; None if there is none of this id."""
        return next(self._records(_jobs().where(TrainingJob.job_id == job_id)), None)

    def newest(self, count: int) -> list[JobRecord]:
        """The jobs that were submitted last, the newest first."""
        return list(self._records(_jobs().order_by(TrainingJob.id.desc()).limit(count)))

    def alive(self) -> list[JobRecord]:
        """Jobs that run, then those that are queued, the next one first."""
        query = _jobs().where(TrainingJob.state.in_(_ALIVE))
        found = list(self._records(query.order_by(TrainingJob.place)))
        return sorted(found, key=lambda job: job.state is not JobState.RUNNING)

    def counts(self) -> dict[JobState, int]:
        """How many jobs are in each state."""
        query = select(TrainingJob.state, func.count()).group_by(TrainingJob.state)
        found = {row[0]: row[1] for row in self._connection.execute(query)}
        return {state: found.get(state.value, 0) for state in JobState}

    def is_cancelled(self, job_id: str) -> bool:
        """Whether a job was asked to stop, or is not there any more."""
        query = select(TrainingJob.cancel_requested).where(TrainingJob.job_id == job_id)
        return self._connection.scalars(query).first() is not False

    def request_cancel(self, job_id: str) -> None:
        """Ask the process of a running job to stop it."""
        self._update(job_id, cancel_requested=True)

    def requeue(self, job_id: str) -> None:
        """Put a job that ended at the end of the queue."""
        self._update(
            job_id,
            state=JobState.QUEUED,
            place=self._last_place() + 1,
            cancel_requested=False,
            started_at=None,
            ended_at=None,
            heartbeat_at=None,
            stage=None,
            progress=None,
            error=None,
        )

    def begin_next(self, at: str) -> JobRecord | None:
        """Make the next queued job a running one; None if none waits."""
        query = select(TrainingJob.job_id).where(TrainingJob.state == JobState.QUEUED)
        job_id = self._connection.scalars(query.order_by(TrainingJob.place).limit(1)).first()
        if job_id is None:
            return None
        self._update(
            job_id,
            state=JobState.RUNNING,
            attempts=TrainingJob.attempts + 1,
            started_at=at,
            heartbeat_at=at,
        )
        return self.get(job_id)

    def beat(self, job_id: str, stage: Stage | None, progress: JobProgress | None, at: str) -> None:
        """Note that a running job is alive, and how far it is."""
        self._connection.execute(
            update(TrainingJob)
            .where(TrainingJob.job_id == job_id, TrainingJob.state == JobState.RUNNING)
            .values(heartbeat_at=at, stage=stage, progress=progress_to_json(progress))
        )

    def end(self, job_id: str, ending: JobEnding, at: str) -> bool:
        """End a job that waits or runs; returns False if it had ended before."""
        changed = self._connection.execute(
            update(TrainingJob)
            .where(TrainingJob.job_id == job_id, TrainingJob.state.in_(_ALIVE))
            .values(
                state=ending.state,
                ended_at=at,
                cancel_requested=False,
                error=failure_to_json(ending.error),
                outcome=outcome_to_json(ending.outcome),
            )
        )
        return changed.rowcount > 0

    def _update(self, job_id: str, **values: Any) -> None:
        query = update(TrainingJob).where(TrainingJob.job_id == job_id)
        self._connection.execute(query.values(**values))

    def _last_place(self) -> int:
        return self._connection.scalars(select(func.max(TrainingJob.place))).one() or 0

    def _records(self, query: Select[Any]) -> Iterator[JobRecord]:
        queued = select(TrainingJob.place).where(TrainingJob.state == JobState.QUEUED)
        places = sorted(self._connection.scalars(queued))
        for row in self._connection.execute(query).all():
            is_queued = row.state == JobState.QUEUED
            yield _record(row, places.index(row.place) + 1 if is_queued else None)


class JobLogRows:
    """The table `training_log`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, job_id: str, lines: Sequence[tuple[str, str]]) -> None:
        """Add lines (time, message); long ones are cut, and those of an endless log are dropped.

        A job that is not there any more has no log to add to.
        """
        known = select(TrainingJob.id).where(TrainingJob.job_id == job_id)
        if not lines or self._connection.scalars(known).first() is None:
            return
        query = select(func.max(TrainingLogLine.number)).where(TrainingLogLine.job_id == job_id)
        last = self._connection.scalars(query).one() or 0
        room = MAX_LINES - last
        kept = list(lines[:room])
        if kept and len(lines) >= room:
            kept[-1] = (kept[-1][0], _FULL)
        values = [
            {"job_id": job_id, "number": number, "at": at, "message": message[:MAX_MESSAGE]}
            for number, (at, message) in enumerate(kept, start=last + 1)
        ]
        if values:
            self._connection.execute(insert(TrainingLogLine), values)

    def lines(self, job_id: str, after: int = 0) -> list[LogLine]:
        """Lines with a number over `after`, oldest first."""
        rows = self._connection.execute(
            select(TrainingLogLine)
            .where(TrainingLogLine.job_id == job_id, TrainingLogLine.number > after)
            .order_by(TrainingLogLine.number)
        )
        return [LogLine(row.number, row.at, row.message) for row in rows]


def _jobs() -> Select[Any]:
    return select(TrainingJob.__table__)


def _record(row: Row[Any], queue_position: int | None) -> JobRecord:
    return JobRecord(
        job_id=row.job_id,
        state=JobState(row.state),
        options=options_from_json(row.options),
        attempts=row.attempts,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        heartbeat_at=row.heartbeat_at,
        queue_position=queue_position,
        cancel_requested=row.cancel_requested,
        stage=None if row.stage is None else Stage(row.stage),
        progress=progress_from_json(row.progress),
        error=failure_from_json(row.error),
        outcome=outcome_from_json(row.outcome),
    )
