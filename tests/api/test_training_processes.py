"""Training jobs beside a real server process, over real sockets."""

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPResponse
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from app.domain.training import JobState
from tests.api.process import ask, running
from tests.worker.world import TrainingWorld, is_gone, wait_until

REQUEST_TIMEOUT = 5
CUT_AFTER = 9.0
"""Seconds after which the application, and then the server, has cut any other answer."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[TrainingWorld]:
    """Shares folders and database with the servers; jobs are submitted by this process."""
    world = TrainingWorld(tmp_path)
    world.script(steps=3, gate=2)
    yield world
    world.close()


def _running(tmp_path: Path, world: TrainingWorld, **settings: object) -> Any:
    return running(
        tmp_path,
        application_data_dir=world.settings.application_data_dir,
        data_dir=world.settings.data_dir,
        sync_interval=0,
        **settings,
    )


def _heard(response: HTTPResponse, name: str) -> Any:
    """Data of the next event of this name; None if the stream ends before."""
    current = ""
    while line := response.readline().decode():
        field, _, value = line.rstrip("\n").partition(": ")
        if field == "event":
            current = value
        elif field == "data" and current == name:
            return json.loads(value)
    return None


def test_a_listener_hears_a_job_to_its_end_beyond_the_time_of_a_request(
    tmp_path: Path, world: TrainingWorld
) -> None:
    job_id = world.submit()
    with (
        _running(tmp_path, world, request_timeout=REQUEST_TIMEOUT) as server,
        closing(server.connection()) as connection,
    ):
        began = monotonic()
        connection.request("GET", f"/train/{job_id}/events")
        response = connection.getresponse()
        assert _heard(response, "progress")["job_id"] == job_id
        wait_until(lambda: monotonic() - began > CUT_AFTER)
        world.open_gate()
        end = _heard(response, "end")
        assert response.read().strip() == b""
        # The connection is as good as any other afterwards.
        assert ask(connection, "GET", "/healthz").status == 200
    assert end == {"job_id": job_id, "state": "succeeded", "status_url": f"/train/{job_id}"}


def test_a_restart_sends_listeners_away_and_loses_no_job(
    tmp_path: Path, world: TrainingWorld
) -> None:
    job_id, waiting = world.submit(), world.submit()
    with _running(tmp_path, world, shutdown_timeout=600) as server:
        world.wait_for_step(job_id, 2)
        worker = world.lock.holder()
        assert worker
        with closing(server.connection()) as connection:
            connection.request("GET", f"/train/{job_id}/events")
            response = connection.getresponse()
            assert _heard(response, "progress")["state"] == "running"
            server.stop()
            assert _heard(response, "end") is None
            assert server.exit_code() == 0
    assert not is_gone(worker)
    with _running(tmp_path, world) as server:
        assert server.get(f"/train/{job_id}").json()["state"] == "running"
        world.open_gate()
        for each in (job_id, waiting):
            assert world.wait_for(each, JobState.SUCCEEDED).attempts == 1
        server.stop()
        assert server.exit_code() == 0
