"""`facetwin train` and `facetwin jobs`, with jobs that only count."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.cli import run
from app.domain.training import JobState
from app.services.training_queue import TrainingQueue
from tests.worker.runner import COMMAND
from tests.worker.world import TrainingWorld

UNKNOWN = "f" * 32


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingWorld]:
    """What the commands work on, seen from outside."""
    world = TrainingWorld(tmp_path)
    monkeypatch.setenv("FACETWIN_DATA_DIR", str(world.settings.data_dir))
    monkeypatch.setenv("FACETWIN_MODEL_DIR", str(world.settings.model_dir))
    # One service key for the world and the commands.
    monkeypatch.setenv("FACETWIN_SERVICE_KEY", "a service key for tests only, 32+")
    monkeypatch.setattr("app.cli.job_access.WORKER", COMMAND)
    monkeypatch.setattr("app.cli.job_access.training_is_installed", lambda: True)
    yield world
    world.close()


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    assert run([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_a_job_is_run_to_its_end_and_shown(
    world: TrainingWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.script(steps=3)
    assert run(["train", "--preset", "seed", "--version", "mine-1", "--activate", "never"]) == 0
    shown = capsys.readouterr()
    assert "succeeded" in shown.out
    assert "model mine-1: better, not activated" in shown.out
    assert "Training" in shown.err
    assert "Job begun." in shown.err

    (job,) = answer(capsys, "jobs", "list")["jobs"]
    assert (job["state"], job["options"]["preset"]) == ("succeeded", "seed")
    job_id = job["job_id"]
    assert answer(capsys, "jobs", "show", job_id) == job
    lines = answer(capsys, "jobs", "log", job_id)["lines"]
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[0]["message"] == "Job begun."
    for command in ("list", "show", "log"):
        assert run(["jobs", command, *([] if command == "list" else [job_id])]) == 0
        assert ("begun" if command == "log" else "succeeded") in capsys.readouterr().out


def test_a_job_that_fails_says_why_and_goes_on(
    world: TrainingWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.script(steps=2, error="data")
    assert run(["train"]) == 3
    shown = capsys.readouterr()
    assert "failed" in shown.out
    assert "training_data_invalid" in shown.out
    assert "too_few_images: Add photos." in shown.out
    assert (shown.out + shown.err).count("Add photos.") == 1
    assert (shown.out + shown.err).count("meaningless") == 1
    assert "facetwin jobs resume" in shown.err
    (job,) = answer(capsys, "jobs", "list")["jobs"]

    world.script(steps=3)
    resumed = answer(capsys, "jobs", "resume", job["job_id"])
    assert (resumed["state"], resumed["attempts"]) == ("succeeded", 2)
    assert world.steps(job["job_id"]) == [1, 2, 3]
    assert answer(capsys, "jobs", "resume", job["job_id"], code=3)["code"] == "job_conflict"


def test_who_resumes_a_job_sees_only_what_is_new(
    world: TrainingWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.script(steps=2, error="bug")
    assert run(["train"]) == 3
    assert "Job begun." in capsys.readouterr().err
    (job,) = world.jobs.newest(1)

    world.script(steps=3)
    assert run(["jobs", "resume", job.job_id]) == 0
    shown = capsys.readouterr().err
    assert "Job begun again, attempt 2." in shown
    assert "Job begun." not in shown
    assert "Job failed" not in shown
    # The log itself has all of it.
    assert "Job begun." in world.messages(job.job_id)


def test_a_detached_job_goes_on_by_itself(
    world: TrainingWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.script(steps=3, gate=2)
    first = answer(capsys, "train", "--detach")
    assert first["state"] == "queued"
    world.wait_for_step(first["job_id"], 2)
    second = answer(capsys, "train", "--detach")
    assert run(["jobs", "list"]) == 0
    assert run(["jobs", "show", first["job_id"]]) == 0
    shown = capsys.readouterr().out
    assert "running" in shown
    assert answer(capsys, "jobs", "show", second["job_id"])["queue_position"] == 1
    assert answer(capsys, "jobs", "cancel", second["job_id"])["state"] == "cancelled"
    assert answer(capsys, "jobs", "cancel", second["job_id"])["state"] == "cancelled"
    world.open_gate()
    world.wait_for(first["job_id"], JobState.SUCCEEDED)
    assert answer(capsys, "jobs", "cancel", first["job_id"], code=3)["code"] == "job_conflict"


def test_an_interrupt_cancels(
    world: TrainingWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.script(steps=3, gate=2)
    pressed: list[str] = []

    def sleep(seconds: float) -> None:
        (job,) = world.jobs.newest(1)
        if not pressed and world.checkpoint(job.job_id) >= 2:
            pressed.append("Ctrl-C")
            raise KeyboardInterrupt
        time.sleep(seconds)

    monkeypatch.setattr("app.cli.job_progress.time", SimpleNamespace(sleep=sleep))
    cancelled = answer(capsys, "train", code=3)

    assert pressed
    assert cancelled["state"] == "cancelled"
    assert world.steps(cancelled["job_id"]) == [1, 2]


def test_looking_at_jobs_starts_none_but_finds_the_dead(
    world: TrainingWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.script(steps=1)
    dead, waiting = world.submit(), world.submit()
    TrainingQueue(world.database).claim()
    states = {job["job_id"]: job["state"] for job in answer(capsys, "jobs", "list")["jobs"]}
    assert states == {dead: "interrupted", waiting: "queued"}
    assert world.lock.holder() is None
    assert not (world.settings.training_dir / "worker.log").exists()


def test_a_report_is_named_or_copied(
    world: TrainingWorld, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    job_id = world.submit()
    assert answer(capsys, "jobs", "report", job_id, code=3)["code"] == "report_not_found"
    world.folder(job_id).mkdir(parents=True)
    page = world.folder(job_id) / "report.html"
    page.write_bytes(b"<html>")
    assert run(["jobs", "report", job_id]) == 0
    assert Path(capsys.readouterr().out.strip()) == page
    copy = tmp_path / "copy.html"
    assert answer(capsys, "jobs", "report", job_id, "--to", str(copy)) == {"path": str(copy)}
    assert copy.read_bytes() == b"<html>"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert run(["jobs", "report", job_id, "--to", str(copy)]) == 3


@pytest.mark.parametrize("command", ["show", "cancel", "resume", "log", "report"])
def test_an_unknown_job_is_an_error(
    world: TrainingWorld, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert answer(capsys, "jobs", command, UNKNOWN, code=3)["code"] == "job_not_found"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--subject", "../anna"], "subject name"),
        (["--version", "active"], "bundle"),
        (["--epochs", "0"], "epochs"),
        (["--crop", "central"], "crop belongs"),
        (["--preset", "magic"], "magic"),
    ],
)
def test_mistakes_are_told(
    world: TrainingWorld,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert run(["train", *arguments]) == 3
    assert message in capsys.readouterr().err
    assert answer(capsys, "jobs", "list") == {"jobs": []}


def test_without_tensorflow_it_says_what_to_install(
    world: TrainingWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.cli.job_access.training_is_installed", lambda: False)
    assert answer(capsys, "train", code=3)["code"] == "training_unavailable"


def enrol(world: TrainingWorld, *names: str) -> None:
    with world.database.write() as rows:
        for name in names:
            rows.add_subject(name, name, "2026-11-25T10:00:00+00:00")


@pytest.mark.parametrize(
    ("enrolled", "is_warned"),
    [((), False), (("default", "anna"), False), (("anna", "ben"), True)],
)
def test_a_train_without_a_subject_says_whom_it_is_about(
    world: TrainingWorld,
    capsys: pytest.CaptureFixture[str],
    enrolled: tuple[str, ...],
    *,
    is_warned: bool,
) -> None:
    world.script(steps=1)
    enrol(world, *enrolled)
    assert run(["train"]) == 0
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "--subject NAME" in line]
    assert "taken to be the subject default" in told
    assert told.startswith("warning: ") == is_warned
    assert ("(anna, ben)" in told) == is_warned


@pytest.mark.parametrize("arguments", [["--subject", "anna"], ["--preset", "compact"]])
def test_nothing_is_presumed_of_an_owner_who_is_named_or_not_needed(
    world: TrainingWorld, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    world.script(steps=1)
    enrol(world, "ben")
    assert run(["train", *arguments]) == 0
    assert "--subject" not in capsys.readouterr().err
