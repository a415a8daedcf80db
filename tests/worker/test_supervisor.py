"""Who starts the worker, and who notices that it died."""

import math
import os
import sys
import threading
from pathlib import Path

import pytest

from app.domain.training import JobState
from app.services.training_queue import TrainingQueue
from app.worker.supervisor import Supervisor
from tests.worker.world import PATIENCE, TrainingWorld, is_gone, wait_until


def test_it_starts_a_worker_that_outlives_it(
    world: TrainingWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A package `app` of somebody else in the working directory is not the service's.
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("raise SystemExit('a stranger')", "ascii")
    monkeypatch.chdir(tmp_path)
    world.script(steps=3, gate=2)
    first = world.supervisor()
    first.start()
    job_id = world.submit()
    first.wake()
    world.wait_for_step(job_id, 2)
    worker = world.lock.holder()
    assert worker
    assert os.getsid(worker) != os.getsid(0)
    first.close()
    assert not is_gone(worker)

    second = world.supervisor()
    second.start()
    world.open_gate()
    job = world.wait_for(job_id, JobState.SUCCEEDED)
    assert job.attempts == 1
    second.close()


def test_it_takes_its_worker_along_where_it_is_told_to(
    world: TrainingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A job yields to everything else: on a busy machine it is long in ending.
    monkeypatch.setattr("app.worker.supervisor.FAREWELL_SECONDS", PATIENCE)
    world.script(steps=3, gate=2)
    supervisor = world.supervisor(takes_worker_along=True)
    supervisor.start()
    job_id = world.submit()
    supervisor.wake()
    world.wait_for_step(job_id, 2)
    supervisor.close()

    assert world.lock.holder() is None
    assert world.state(job_id) is JobState.INTERRUPTED


def test_while_the_service_drains_its_worker_ends_and_none_begins(world: TrainingWorld) -> None:
    world.script(steps=3, gate=2)
    draining = threading.Event()
    supervisor = world.supervisor(takes_worker_along=True, draining=draining.is_set)
    supervisor.start()
    job_id, waiting = world.submit(), world.submit()
    supervisor.wake()
    world.wait_for_step(job_id, 2)
    draining.set()
    world.wait_for(job_id, JobState.INTERRUPTED)
    wait_until(lambda: supervisor._process is None)
    supervisor.look()
    assert supervisor._process is None
    assert world.state(waiting) is JobState.QUEUED
    supervisor.close()


def test_without_a_command_it_only_buries_the_dead(world: TrainingWorld) -> None:
    supervisor = Supervisor(world.settings, world.database, command=None)
    running, waiting = world.submit(), world.submit()
    claimed = TrainingQueue(world.database).claim()
    assert claimed
    with world.lock.held(0):
        supervisor.look()
        assert world.state(running) is JobState.RUNNING
    supervisor.look()
    assert world.state(running) is JobState.INTERRUPTED
    assert world.state(waiting) is JobState.QUEUED


def test_without_jobs_it_touches_nothing(world: TrainingWorld) -> None:
    world.supervisor().look()
    assert not world.settings.training_dir.exists()


def test_a_worker_that_cannot_start_is_not_started_again_at_once(world: TrainingWorld) -> None:
    counter = world.settings.data_dir / "starts"
    world.script()
    code = f"open({str(counter)!r}, 'a').write('x'); raise SystemExit(7)"
    supervisor = Supervisor(world.settings, world.database, command=[sys.executable, "-c", code])
    job_id = world.submit()
    supervisor.look()
    first = supervisor._process
    assert first is not None
    first.wait()
    supervisor.look()
    assert not supervisor._process
    supervisor._not_before = math.inf  # a busy machine may let the pause go by
    for _ in range(2):
        supervisor.look()
    assert counter.read_text("ascii") == "x"
    assert world.state(job_id) is JobState.QUEUED
    supervisor._not_before = 0
    supervisor.look()
    second = supervisor._process
    assert second
    second.wait()
    assert counter.read_text("ascii") == "xx"


def test_the_worker_gets_no_file_of_the_server(world: TrainingWorld) -> None:
    seen = world.settings.data_dir / "descriptors"
    world.script()
    code = f"import os; open({str(seen)!r}, 'w').write(' '.join(os.listdir('/proc/self/fd')))"
    listener, other = os.pipe()
    os.set_inheritable(listener, True)
    supervisor = Supervisor(world.settings, world.database, command=[sys.executable, "-c", code])
    try:
        world.submit()
        supervisor.look()
        assert supervisor._process is not None
        assert supervisor._process.wait() == 0
    finally:
        os.close(listener)
        os.close(other)
    # Standard streams, the file it writes, and the folder that it lists.
    assert len(seen.read_text("ascii").split()) == 5
