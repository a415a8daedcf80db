"""What is deleted of jobs that are over, and what is kept of those that can go on."""

import json
from pathlib import Path

import pytest

from app.domain.training import JobState, Preset
from app.services.training_queue import TrainingQueue
from app.training.bundle_writer import STAGING
from app.training.job.memory import CHECKPOINTS, STATE, JobMemory
from app.worker.leftovers import SCRATCH, sweep
from app.worker.supervisor import Supervisor
from tests.worker.world import TrainingWorld, wait_until


def left_by(world: TrainingWorld, job_id: str, version: str) -> tuple[Path, Path]:
    """Draft and checkpoints of a job that was killed while it wrote its bundle."""
    folder = world.folder(job_id)
    draft = world.settings.model_dir / f"{STAGING}-{version}"
    for place in (folder / CHECKPOINTS, draft):
        place.mkdir(parents=True)
        (place / "part").write_bytes(b"half")
    JobMemory("base", version).write(folder)
    return draft, folder / CHECKPOINTS


def test_a_job_that_is_found_dead_leaves_no_half_bundle_but_its_checkpoints(
    world: TrainingWorld,
) -> None:
    job_id = world.submit()
    queue = TrainingQueue(world.database)
    queue.claim()
    draft, checkpoints = left_by(world, job_id, "mine")
    sweep(world.settings, queue)
    assert draft.exists()  # as long as it runs, it is the job's
    Supervisor(world.settings, world.database, command=None).look()
    assert world.state(job_id) is JobState.INTERRUPTED
    assert not draft.exists()
    assert checkpoints.exists()


def test_a_job_that_never_goes_on_keeps_no_checkpoints(world: TrainingWorld) -> None:
    """One that was cancelled while it waited to go on, and one that a worker has just ended."""
    world.script(steps=2)
    cancelled, done = world.submit(), world.submit()
    world.cancel(cancelled)
    left = [*left_by(world, cancelled, "first"), *left_by(world, done, "second")]
    other = world.settings.model_dir / f"{STAGING}-default-3"
    other.mkdir()
    world.run()
    assert world.state(done) is JobState.SUCCEEDED
    assert not any(path.exists() for path in left)
    assert (world.folder(done) / STATE).exists()
    assert other.exists()  # no job's: someone builds it by hand


@pytest.mark.parametrize("state", ["{", "[]", json.dumps({"version": "x"}), None])
def test_a_job_whose_memory_is_damaged_or_erased_is_passed_over(
    world: TrainingWorld, state: str | None
) -> None:
    job_id = world.submit()
    world.cancel(job_id)
    folder = world.folder(job_id)
    (folder / CHECKPOINTS).mkdir(parents=True)
    if state is not None:
        (folder / STATE).write_text(state)
    (world.settings.training_dir / "jobs" / "nobodys" / CHECKPOINTS).mkdir(parents=True)
    sweep(world.settings, TrainingQueue(world.database))
    assert not (folder / CHECKPOINTS).exists()
    assert (world.settings.training_dir / "jobs" / "nobodys" / CHECKPOINTS).exists()


def test_no_file_outside_the_model_folder_is_touched(world: TrainingWorld) -> None:
    job_id = world.submit()
    world.cancel(job_id)
    kept = world.settings.data_dir / "kept"
    kept.mkdir(parents=True)
    (world.settings.model_dir / f"{STAGING}-x").mkdir()
    JobMemory("base", f"x/../../{kept.parent.name}/kept").write(world.folder(job_id))
    sweep(world.settings, TrainingQueue(world.database))
    assert kept.exists()


def test_passing_files_lie_in_the_jobs_folder_and_go_with_its_process(world: TrainingWorld) -> None:
    world.script(steps=2, gate=1)
    job_id = world.submit()
    worker = world.start()
    world.wait_for_step(job_id, 1)
    scratch = world.folder(job_id) / SCRATCH
    environment = Path(f"/proc/{world.job_pid(job_id)}/environ").read_bytes().split(b"\0")
    assert f"TMPDIR={scratch}".encode() in environment
    (scratch / "model").write_bytes(b"half")
    worker.kill()
    worker.wait()
    wait_until(lambda: world.lock.holder() is None)
    Supervisor(world.settings, world.database, command=None).look()
    assert not scratch.exists()
    world.open_gate()
    world.resume(job_id)
    world.run()
    assert world.state(job_id) is JobState.SUCCEEDED
    assert not scratch.exists()


@pytest.mark.parametrize(("preset", "own"), [(Preset.SEED, True), (Preset.FINETUNE, False)])
def test_only_the_large_network_is_trained_with_the_systems_allocator(
    world: TrainingWorld, preset: Preset, own: bool
) -> None:
    """TensorFlow's is faster, and never gives back what it once had."""
    world.script(steps=1, gate=1)
    job_id = world.submit(preset=preset)
    world.start()
    world.wait_for_step(job_id, 1)
    environment = Path(f"/proc/{world.job_pid(job_id)}/environ").read_bytes().split(b"\0")
    assert (b"TF_ONEDNN_USE_SYSTEM_ALLOCATOR=1" in environment) is own
    assert b"TF_ENABLE_ONEDNN_OPTS=1" in environment
    world.open_gate()
    world.wait_for(job_id, JobState.SUCCEEDED)
