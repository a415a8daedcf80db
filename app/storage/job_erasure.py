"""Rows of training jobs about a person, for who erases the person."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, or_, select, update

from app.domain.training import JobState
from app.domain.training_jobs import JobFailure
from app.storage.job_json import failure_to_json
from app.storage.tables import TrainingErasure, TrainingJob, TrainingLogLine

_ALIVE: Final = (JobState.QUEUED, JobState.RUNNING)
_SILENCED: Final = "What was said here was erased with a person."


@dataclass(frozen=True, slots=True)
class PendingErasure:
    """An erasure that has begun and is not logged yet.

    Attributes:
        begun_at: When files were last begun to be deleted, ISO 8601 UTC.
        hashes: sha256 of the person's photos, as far as they were known.
        jobs: Whose files go.
        models: Bundles that were trained on the person.
        files: How many files go.
    """

    begun_at: str
    hashes: frozenset[str]
    jobs: frozenset[str]
    models: frozenset[str]
    files: int

    def joined(self, earlier: "PendingErasure | None") -> "PendingErasure":
        """This one, and what an earlier one knew that was interrupted."""
        if earlier is None:
            return self
        return PendingErasure(
            self.begun_at,
            self.hashes | earlier.hashes,
            self.jobs | earlier.jobs,
            self.models | earlier.models,
            max(self.files, earlier.files),
        )


def pending_erasure(connection: Connection, pseudonym: str) -> PendingErasure | None:
    """The erasure of a person that has begun and is not logged yet."""
    query = select(TrainingErasure.__table__).where(TrainingErasure.subject == pseudonym)
    row = connection.execute(query).first()
    if row is None:
        return None
    return PendingErasure(
        row.begun_at, frozenset(row.hashes), frozenset(row.jobs), frozenset(row.models), row.files
    )


def put_pending_erasure(connection: Connection, pseudonym: str, pending: PendingErasure) -> None:
    """Note an erasure, in the place of an earlier one of the same person."""
    clear_pending_erasure(connection, pseudonym)
    values: dict[str, Any] = {
        "subject": pseudonym,
        "begun_at": pending.begun_at,
        "hashes": sorted(pending.hashes),
        "jobs": sorted(pending.jobs),
        "models": sorted(pending.models),
        "files": pending.files,
    }
    connection.execute(insert(TrainingErasure), values)


def clear_pending_erasure(connection: Connection, pseudonym: str) -> None:
    """Note that the erasure of a person is done."""
    connection.execute(delete(TrainingErasure).where(TrainingErasure.subject == pseudonym))


def running_job(connection: Connection) -> str | None:
    """Id of the job that runs, whomever it is about."""
    query = select(TrainingJob.job_id).where(TrainingJob.state == JobState.RUNNING)
    return connection.scalars(query.order_by(TrainingJob.place)).first()


def alive_job_about(connection: Connection, subject_key: str) -> str | None:
    """Id of a job about a subject that waits or runs."""
    query = select(TrainingJob.job_id).where(
        TrainingJob.subject_key == subject_key, TrainingJob.state.in_(_ALIVE)
    )
    return connection.scalars(query.order_by(TrainingJob.place)).first()


def job_started_since(connection: Connection, at: str) -> str | None:
    """Id of a job that runs, or has run, since a time (ISO 8601 UTC)."""
    query = select(TrainingJob.job_id).where(
        or_(TrainingJob.state == JobState.RUNNING, TrainingJob.started_at >= at)
    )
    return connection.scalars(query.order_by(TrainingJob.place.desc())).first()


def jobs_about(connection: Connection, subject_key: str) -> list[str]:
    """Ids of the jobs about a subject."""
    query = select(TrainingJob.job_id).where(TrainingJob.subject_key == subject_key)
    return list(connection.scalars(query.order_by(TrainingJob.id)))


def jobs_mentioning(connection: Connection, phrases: Collection[str]) -> list[str]:
    """Ids of the jobs whose log holds one of these, without regard to case (of ASCII letters)."""
    if not phrases:
        return []
    told = [TrainingLogLine.message.icontains(phrase, autoescape=True) for phrase in phrases]
    return list(connection.scalars(select(TrainingLogLine.job_id).where(or_(*told)).distinct()))


def remove_jobs(connection: Connection, job_ids: Sequence[str]) -> None:
    """Delete jobs with their logs."""
    for job_id in job_ids:
        connection.execute(delete(TrainingLogLine).where(TrainingLogLine.job_id == job_id))
        connection.execute(delete(TrainingJob).where(TrainingJob.job_id == job_id))


def silence_jobs(connection: Connection, job_ids: Iterable[str]) -> None:
    """Delete what jobs about others have said: it may name a person's photos."""
    for job_id in job_ids:
        connection.execute(delete(TrainingLogLine).where(TrainingLogLine.job_id == job_id))
        query = select(TrainingJob.error).where(TrainingJob.job_id == job_id)
        error = connection.scalars(query).first()
        if error is not None:
            error = failure_to_json(JobFailure(error["code"], _SILENCED))
            connection.execute(
                update(TrainingJob).where(TrainingJob.job_id == job_id).values(error=error)
            )
