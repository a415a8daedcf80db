"""The training jobs, for commands. The model is not loaded."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.cli.options import read_settings
from app.logs import configure_logging
from app.runtime import audit_log
from app.services.training_jobs import TrainingJobs, training_is_installed
from app.settings import Settings
from app.storage.database import Database
from app.worker.supervisor import WORKER, Supervisor


@dataclass(frozen=True, slots=True)
class JobAccess:
    """The jobs, and what sees to it that they are run."""

    settings: Settings
    jobs: TrainingJobs
    supervisor: Supervisor
    database: Database

    def enrolled(self) -> list[str]:
        """Names of the subjects in the gallery.

        Raises:
            StorageError: If the database can't be read.
        """
        with self.database.read() as rows:
            return [subject.name for subject in rows.subjects()]


@contextmanager
def opened_jobs() -> Iterator[JobAccess]:
    """The jobs of the settings; those whose process died are found first.

    A worker that is started here outlives the command.
    """
    settings = read_settings()
    configure_logging(settings.model_copy(update={"log_level": _least(settings.log_level)}))
    database = Database(settings.database_url)
    try:
        database.migrate()
        supervisor = Supervisor(settings, database, command=WORKER, takes_worker_along=False)
        jobs = TrainingJobs(
            database,
            audit_log(settings, database),
            settings.training_dir,
            settings.model_dir,
            installed=training_is_installed,
        )
        # Only who waits for a job has it run.
        Supervisor(settings, database, command=None).look()
        try:
            yield JobAccess(settings, jobs, supervisor, database)
        finally:
            supervisor.close()
    finally:
        database.close()


def _least(level: str) -> str:
    """What went well is shown by the command itself."""
    return "warning" if level in {"debug", "info"} else level
