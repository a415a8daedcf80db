"""A person is erased while a real process trains."""

import pytest

from app.domain.errors import JobConflictError, JobNotFoundError
from app.domain.training import JobState
from app.runtime import training_traces
from app.services.training_traces import TrainingRemoved, TrainingTraces
from tests.worker.runner import CHECKPOINT
from tests.worker.world import PATIENCE, TrainingWorld


def erase(world: TrainingWorld, traces: TrainingTraces) -> TrainingRemoved | None:
    traces.erase("anna", "pseudonym", is_enrolled=False)
    with world.database.write_apart() as connection:
        return traces.finish(connection, "anna", "pseudonym")


def test_a_job_is_stopped_before_its_person_is_erased(world: TrainingWorld) -> None:
    traces = training_traces(world.settings, world.database)
    world.script(steps=3, gate=2)
    photos = world.settings.data_dir / "anchor" / "anna"
    photos.mkdir(parents=True)
    (photos / "1.jpg").write_bytes(b"a photo")
    job_id = world.submit(subject="Anna")
    worker = world.start()
    world.wait_for_step(job_id, 1)
    with pytest.raises(JobConflictError, match=job_id):
        erase(world, traces)
    assert (photos / "1.jpg").exists()

    world.cancel(job_id)
    world.wait_for(job_id, JobState.CANCELLED)
    assert (world.folder(job_id) / CHECKPOINT).exists()
    removed = erase(world, traces)
    assert removed is not None
    assert removed.files > 1
    # The process that ran the job is still there to tell of it, and writes nothing anew.
    assert worker.wait(PATIENCE) == 0
    assert not world.folder(job_id).exists()
    assert not photos.exists()
    with pytest.raises(JobNotFoundError):
        world.jobs.get(job_id)
