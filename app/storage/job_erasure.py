"""Rows of training jobs about a person, for who erases the person."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, select

from app.domain.training import JobState
from app.storage.tables import TrainingJob, TrainingLogLine

_ALIVE = (JobState.QUEUED, JobState.RUNNING)


def alive_jobs(connection: Connection) -> list[str]:
    """Ids of all jobs that wait or run, whomever they are about."""
    query = select(TrainingJob.job_id).where(TrainingJob.state.in_(_ALIVE))
    return list(connection.scalars(query.order_by(TrainingJob.place)))


def jobs_about(connection: Connection, subject_key: str) -> list[str]:
    """Ids of the jobs about a subject."""
    query = select(TrainingJob.job_id).where(TrainingJob.subject_key == subject_key)
    return list(connection.scalars(query.order_by(TrainingJob.id)))


def remove_jobs(connection: Connection, job_ids: Sequence[str]) -> None:
    """Delete jobs with their logs."""
    for job_id in job_ids:
        connection.execute(delete(TrainingLogLine).where(TrainingLogLine.job_id == job_id))
        connection.execute(delete(TrainingJob).where(TrainingJob.job_id == job_id))
