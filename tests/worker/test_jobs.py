"""Whole jobs in real processes: what becomes of them, however they end."""

import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic

import pytest

from app.domain.training import JobOutcome, JobState, Judgement, Stage
from app.domain.training_jobs import JobProgress
from app.worker.attempt import ASK_SECONDS, GRACE_SECONDS, TICK_SECONDS
from app.worker.supervisor import Supervisor
from tests.worker.runner import PERSON
from tests.worker.world import PATIENCE, TrainingWorld, is_gone, wait_until

SOON = 120.0
"""What takes 5 s on an idle machine; no call of the jobs here returns within this."""


def test_queued_jobs_are_run_in_their_order_and_the_worker_ends(world: TrainingWorld) -> None:
    world.script(steps=4)
    first, second = world.submit(version="one"), world.submit(version="two")
    before = world.database.revision()
    world.run()

    for job_id, version in ((first, "one"), (second, "two")):
        job = world.jobs.get(job_id)
        assert (job.state, job.attempts, job.error) == (JobState.SUCCEEDED, 1, None)
        assert job.outcome == JobOutcome(version, Judgement.BETTER, False, ("counted",))
        assert job.stage is Stage.TRAIN
        assert job.progress
        progress = replace(job.progress, eta_seconds=None)  # a slow machine has one
        assert progress == JobProgress(4, 4, "steps", 1, 0.25)
        assert world.steps(job_id) == [1, 2, 3, 4]
        messages = world.messages(job_id)
        assert messages[0] == "Job begun."
        assert "0 references" in messages[1]
        assert "idle True" in messages[1]
        assert "MiB" in messages[2]
        assert messages[3:] == ["Job succeeded."]
    started = [world.jobs.get(job_id).started_at for job_id in (first, second)]
    ended = world.jobs.get(first).ended_at
    assert started[0]
    assert started[1]
    assert ended
    assert started[0] < ended <= started[1]
    assert world.lock.holder() is None
    assert world.database.revision() == before


def test_a_killed_job_is_found_interrupted_and_goes_on(world: TrainingWorld) -> None:
    """Killed at the first step, in the middle, and after the last one."""
    job_id = world.submit()
    supervisor = world.supervisor()
    for attempt, (victim, step) in enumerate([("warden", 1), ("job", 4), ("warden", 7)], start=1):
        world.script(steps=7, gate=step)
        warden = world.start().pid
        world.wait_for_step(job_id, step)
        process_id = world.job_pid(job_id, attempt)
        os.kill(warden if victim == "warden" else process_id, signal.SIGKILL)
        wait_until(lambda: _look(supervisor, world, job_id) is not JobState.RUNNING)

        job = world.jobs.get(job_id)
        assert (job.state, job.attempts) == (JobState.INTERRUPTED, attempt)
        assert job.error
        assert job.error.code == "interrupted"
        wait_until(partial(is_gone, process_id))
        # The warden looks for more jobs before it ends, and would take this one.
        wait_until(lambda: world.lock.holder() is None)
        world.resume(job_id)
    world.run()
    job = world.jobs.get(job_id)
    assert (job.state, job.attempts) == (JobState.SUCCEEDED, 4)
    assert world.steps(job_id) == [1, 2, 3, 4, 5, 6, 7]


def _look(supervisor: Supervisor, world: TrainingWorld, job_id: str) -> JobState:
    supervisor.look()
    return world.state(job_id)


def test_a_job_that_asks_is_cancelled(world: TrainingWorld) -> None:
    world.script(steps=9, gate=2)
    cancelled, waiting = world.submit(), world.submit()
    world.start()
    world.wait_for_step(cancelled, 2)
    assert world.cancel(cancelled).cancel_requested
    job = world.wait_for(cancelled, JobState.CANCELLED)

    assert (job.error, job.outcome, job.cancel_requested) == (None, None, False)
    assert world.steps(cancelled) == [1, 2]
    world.open_gate()
    world.wait_for(waiting, JobState.SUCCEEDED)


def test_a_cancelled_job_has_no_more_than_five_seconds() -> None:
    """To hear of it, to end by itself, and to be killed."""
    assert ASK_SECONDS + GRACE_SECONDS + TICK_SECONDS < 5


def test_a_job_that_never_asks_is_cancelled_in_time(world: TrainingWorld) -> None:
    world.script(steps=9, hold=2)
    job_id = world.submit()
    world.start()
    world.wait_for_step(job_id, 2)
    process_id = world.job_pid(job_id)
    began = monotonic()
    world.cancel(job_id)
    world.wait_for(job_id, JobState.CANCELLED)

    assert monotonic() - began < SOON
    assert is_gone(process_id)


@pytest.mark.parametrize("behaviour", [{"gate": 2}, {"hold": 2}])
def test_a_worker_that_is_told_to_end_leaves_its_job_to_go_on(
    world: TrainingWorld, behaviour: dict[str, int]
) -> None:
    world.script(steps=3, **behaviour)
    interrupted, waiting = world.submit(), world.submit()
    worker = world.start()
    world.wait_for_step(interrupted, 2)
    began = monotonic()
    worker.terminate()

    assert worker.wait(PATIENCE) == 0
    assert monotonic() - began < SOON
    assert world.state(interrupted) is JobState.INTERRUPTED
    assert world.state(waiting) is JobState.QUEUED
    world.script(steps=3)
    world.resume(interrupted)
    world.run()
    assert {world.state(waiting), world.state(interrupted)} == {JobState.SUCCEEDED}
    assert world.steps(interrupted) == [1, 2, 3]


def test_of_two_workers_one_runs(world: TrainingWorld) -> None:
    world.script(steps=2, gate=1)
    job_id = world.submit()
    first = world.start()
    world.wait_for_step(job_id, 1)
    assert world.start().wait(PATIENCE) == 0
    assert world.lock.holder() == first.pid
    assert world.state(job_id) is JobState.RUNNING
    world.open_gate()
    assert first.wait(PATIENCE) == 0
    assert world.steps(job_id) == [1, 2]
    assert world.jobs.get(job_id).attempts == 1


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ("data", "training_data_invalid", "meaningless"),
        ("disk", "storage_unavailable", "disk is full"),
        ("memory", "training_limit_exceeded", "not enough memory"),
        ("bug", "internal_error", "RuntimeError"),
    ],
)
def test_a_job_that_fails_says_why(
    world: TrainingWorld, error: str, code: str, message: str
) -> None:
    world.script(steps=1, error=error)
    job_id = world.submit()
    supervisor = world.supervisor()
    supervisor.look()
    job = world.wait_for(job_id, JobState.FAILED)

    assert job.error
    assert job.error.code == code
    assert message in job.error.message
    problems = ({"code": "too_few_images", "message": "Add photos."},)
    assert job.error.problems == (problems if error == "data" else ())
    # Names of people stay where they are.
    assert PERSON not in job.error.message
    wait_until(lambda: world.lock.holder() is None)
    assert "job_failed" in world.output()
    assert PERSON not in world.output()


def test_a_failed_job_goes_on_once_its_cause_is_gone(world: TrainingWorld) -> None:
    world.script(steps=2, error="disk")
    job_id = world.submit()
    world.run()
    assert world.state(job_id) is JobState.FAILED
    world.script(steps=3)
    world.resume(job_id)
    world.run()
    assert world.state(job_id) is JobState.SUCCEEDED
    assert world.steps(job_id) == [1, 2, 3]


def test_a_job_that_takes_too_much_memory_is_ended(tmp_path: Path) -> None:
    world = TrainingWorld(tmp_path, training_memory_bytes=512 * 1024**2)
    try:
        world.script(steps=400, grow=10, pause=0.02)
        job_id = world.submit()
        world.run()
        job = world.jobs.get(job_id)
        steps = world.checkpoint(job_id)
    finally:
        world.close()
    assert job.state is JobState.FAILED
    assert job.error
    assert job.error.code == "training_limit_exceeded"
    assert "512 MiB" in job.error.message
    assert steps < 400


def test_a_job_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    world = TrainingWorld(tmp_path, training_hours=1 / 3600)
    try:
        world.script(hold=1)
        job_id = world.submit()
        world.run()
        job = world.jobs.get(job_id)
    finally:
        world.close()
    assert job.state is JobState.FAILED
    assert job.error
    assert job.error.code == "training_limit_exceeded"
    assert "FACETWIN_TRAINING_HOURS" in job.error.message
