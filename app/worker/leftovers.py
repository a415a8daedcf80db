"""What jobs leave behind that nobody needs any more.

A process that is killed can't tidy up, so whoever knows that no job runs does it.
"""

import shutil
from pathlib import Path
from typing import Final

from app.domain.errors import StorageError
from app.domain.training import JobState
from app.logs import get_logger
from app.services.training_jobs import job_folder
from app.services.training_queue import TrainingQueue
from app.settings import Settings

SCRATCH: Final = "scratch"
"""Folder of a job for files that it needs for a moment, as TensorFlow does while it exports. In the
system's folder they would stay when the process is killed; and that can be small, or in memory."""
_FOR_GOOD: Final = frozenset({JobState.SUCCEEDED, JobState.CANCELLED})
"""Such a job never goes on."""

_log = get_logger("facetwin.worker")


def sweep(settings: Settings, queue: TrainingQueue) -> None:
    """Delete bundles left half written, passing files, and checkpoints of jobs that never go on.

    A job that goes on writes its bundle anew. Checkpoints of the preset `seed` take over a
    gigabyte. Whoever calls this holds the worker's lock, so that no job runs; what can't be deleted
    now is deleted the next time.
    """
    folder = settings.training_dir / "jobs"
    jobs = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    for job_id in jobs:
        try:
            state = queue.state_of(job_id)
        except StorageError as error:
            _log.warning("leftovers_not_swept", reason=error.message)
            return
        if state is not None and state is not JobState.RUNNING:
            _sweep_job(settings, job_folder(settings.training_dir, job_id), state)


def _sweep_job(settings: Settings, folder: Path, state: JobState) -> None:
    from app.training.bundle_writer import STAGING
    from app.training.job.memory import CHECKPOINTS, JobMemory

    try:
        memory = JobMemory.read(folder)
    except (OSError, ValueError, KeyError, TypeError):
        memory = None  # damaged; only the job itself has to know
    if memory is not None and Path(memory.version).name == memory.version:
        shutil.rmtree(settings.model_dir / f"{STAGING}-{memory.version}", ignore_errors=True)
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    if state in _FOR_GOOD:
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
