"""`/train` without a process that runs the jobs: what happens to them, the test does itself."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.job_events import MAX_LISTENERS, JobListeners
from app.domain.errors import OverloadedError
from app.domain.training import JobOutcome, JobState, Judgement, Stage
from app.domain.training_jobs import JobEnding, JobFailure, JobProgress
from app.services.training_jobs import job_folder
from app.services.training_queue import JobNote, TrainingQueue
from app.settings import Settings
from tests.api.service import Service
from tests.api.test_errors import check_problem

UNKNOWN = "f" * 32
PAGE = b"<!doctype html><img src='data:image/png;base64,AAAA'>"


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    (tmp_path / "model").mkdir()
    return settings.model_copy(update={"model_dir": tmp_path / "model"})


@pytest.fixture(autouse=True)
def _installed(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.state["jobs"], "_installed", lambda: True)


@pytest.fixture
def queue(service: Service) -> TrainingQueue:
    return TrainingQueue(service.state["runtime"].database)


def train(service: Service, **options: Any) -> httpx.Response:
    return service.request("POST", "/train", json=options)


def submitted(service: Service, **options: Any) -> str:
    answer = train(service, **options)
    assert answer.status_code == 202
    job_id: str = answer.json()["job_id"]
    return job_id


def ended(service: Service, queue: TrainingQueue, ending: JobEnding) -> str:
    job_id = submitted(service)
    queue.claim()
    queue.finish(job_id, ending)
    return job_id


FAILED = JobEnding(
    JobState.FAILED,
    JobFailure("training_data_invalid", "Bad.", ({"code": "few", "message": "Add photos."},)),
)


def test_a_job_is_accepted_and_shown(service: Service) -> None:
    answer = service.request("POST", "/train")
    body = answer.json()
    assert answer.status_code == 202
    assert body["state"] == "queued"
    assert answer.headers["Location"] == body["status_url"] == f"/train/{body['job_id']}"

    job = service.get(body["status_url"]).json()
    assert job["options"] == {
        "preset": "finetune",
        "subject": "default",
        "version": None,
        "activate": "if_better",
        "seed": 20261125,
        "epochs": None,
        "crop": "aligned",
        "pooling": "published",
    }
    assert (job["state"], job["queue_position"], job["attempts"]) == ("queued", 1, 0)
    assert job["stage"] is job["progress"] is job["error"] is job["outcome"] is None
    assert service.get("/train").json() == {"jobs": [job]}


def test_every_option_arrives(service: Service) -> None:
    options = {
        "preset": "seed",
        "subject": "Anna",
        "version": "anna-1",
        "activate": "never",
        "seed": 1,
        "epochs": 2,
        "crop": "central",
        "pooling": "2x2",
    }
    job_id = submitted(service, **options)
    assert service.get(f"/train/{job_id}").json()["options"] == options


def test_jobs_are_listed_newest_first(service: Service) -> None:
    first, second, third = (submitted(service) for _ in range(3))
    listed = [job["job_id"] for job in service.get("/train").json()["jobs"]]
    assert listed == [third, second, first]
    assert len(service.get("/train?limit=2").json()["jobs"]) == 2


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"presets": "seed"}, "presets"),
        ({"preset": "magic"}, "preset"),
        ({"subject": "../anna"}, "subject"),
        ({"version": ".hidden"}, "version"),
        ({"version": "taken"}, "version"),
        ({"seed": -1}, "seed"),
        ({"epochs": 0}, "epochs"),
        ({"crop": "central"}, "crop"),
        ({"pooling": "2x2"}, "pooling"),
    ],
)
def test_what_can_not_be_asked_for_is_named(
    service: Service, settings: Settings, options: dict[str, Any], field: str
) -> None:
    (settings.model_dir / "taken").mkdir()
    problem = check_problem(train(service, **options), "invalid_request")
    assert [error["field"] for error in problem["errors"]] == [field]
    assert service.get("/train").json() == {"jobs": []}


def test_options_in_the_url_are_refused(service: Service) -> None:
    answer = service.request("POST", "/train?preset=seed")
    assert "JSON body" in check_problem(answer, "invalid_request")["detail"]


def test_a_large_body_is_refused(service: Service) -> None:
    check_problem(train(service, subject="a" * 70_000), "image_too_large")


def test_without_tensorflow_it_says_what_to_install(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.state["jobs"], "_installed", lambda: False)
    problem = check_problem(train(service), "training_unavailable")
    assert "facetwin[train]" in problem["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/resume"),
        ("GET", "/events"),
        ("GET", "/report"),
    ],
)
@pytest.mark.parametrize("job_id", [UNKNOWN, "..%2f..%2fsecret", "x"])
def test_an_unknown_job_is_not_found(service: Service, method: str, path: str, job_id: str) -> None:
    answer = service.request(method, f"/train/{job_id}{path}")
    assert answer.json()["code"] == ("not_found" if "%" in job_id else "job_not_found")
    assert answer.status_code == 404


def test_cancelling_is_idempotent(service: Service, queue: TrainingQueue) -> None:
    waiting, running = submitted(service), submitted(service)
    for _ in range(2):
        answer = service.delete(f"/train/{waiting}")
        assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
    claimed = queue.claim()
    assert claimed
    assert claimed.job_id == running
    assert service.delete(f"/train/{running}").json()["state"] == "running"
    assert service.get(f"/train/{running}").json()["cancel_requested"] is True
    queue.finish(running, JobEnding(JobState.CANCELLED))
    assert service.delete(f"/train/{running}").status_code == 202


def test_a_failed_job_tells_why_and_can_go_on(service: Service, queue: TrainingQueue) -> None:
    job_id = ended(service, queue, FAILED)
    job = service.get(f"/train/{job_id}").json()
    assert job["error"] == {
        "code": "training_data_invalid",
        "message": "Bad. Add photos.",
        "problems": [{"code": "few", "message": "Add photos."}],
    }
    assert check_problem(service.delete(f"/train/{job_id}"), "job_conflict")["state"] == "failed"
    answer = service.request("POST", f"/train/{job_id}/resume")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    check_problem(service.request("POST", f"/train/{job_id}/resume"), "job_conflict")


def test_who_asked_is_in_the_audit_log(service: Service, queue: TrainingQueue) -> None:
    job_id = ended(service, queue, FAILED)
    service.request("POST", f"/train/{job_id}/resume")
    service.delete(f"/train/{job_id}")
    entries = service.state["runtime"].audit.tail(10)
    assert [(e.action, e.outcome, e.actor) for e in entries] == [
        ("train", "queued", "local"),
        ("resume_training", "queued", "local"),
        ("cancel_training", "cancelled", "local"),
    ]
    assert all(entry.details["request_id"] for entry in entries)


def test_jobs_are_counted(service: Service, queue: TrainingQueue) -> None:
    ended(service, queue, FAILED)
    submitted(service)
    assert service.metric('facetwin_training_jobs{state="failed"}') == 1
    assert service.metric('facetwin_training_jobs{state="queued"}') == 1
    assert 'facetwin_training_jobs{state="running"} 0.0' in service.get("/metrics").text


def test_a_report_is_a_page_or_its_figures(service: Service, settings: Settings) -> None:
    job_id = submitted(service)
    path = f"/train/{job_id}/report"
    check_problem(service.get(path), "report_not_found")
    folder = job_folder(settings.training_dir, job_id)
    folder.mkdir(parents=True)
    (folder / "report.html").write_bytes(PAGE)
    (folder / "report.json").write_text('{"fnmr": 0.01}', "ascii")

    for headers in ({}, {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}):
        page = service.get(path, headers=headers)
        assert (page.status_code, page.content) == (200, PAGE)
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert page.headers["Cache-Control"] == "no-store"
        policy = dict(
            directive.strip().split(" ", 1)
            for directive in page.headers["Content-Security-Policy"].split(";")
        )
        assert policy.pop("img-src") == "data:"
        assert policy.pop("style-src") == "'unsafe-inline'"
        assert set(policy.values()) == {"'none'"}
        assert {"default-src", "frame-ancestors"} <= set(policy)
    for options in ({"params": {"format": "json"}}, {"headers": {"Accept": "application/json"}}):
        figures = service.get(path, **options)
        assert figures.json() == {"fnmr": 0.01}
        assert figures.headers["Content-Security-Policy"].startswith("default-src 'none'; frame")
    check_problem(service.get(path, params={"format": "pdf"}), "invalid_request")


def events_of(text: str) -> list[tuple[str, str, Any]]:
    """Id, name and data of each event."""
    events = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
        if "event" in fields:
            events.append((fields.get("id", ""), fields["event"], json.loads(fields["data"])))
    return events


def test_who_listens_late_hears_all(service: Service, queue: TrainingQueue) -> None:
    job_id = submitted(service)
    queue.claim()
    progress = JobProgress(1, 2, "pairs", 1, 0.5)
    queue.note(job_id, JobNote(Stage.TRAIN, progress, [("then", "a line\nof two")]))
    outcome = JobOutcome("v-1", Judgement.BETTER, activated=True, reasons=("It is.",))
    queue.finish(job_id, JobEnding(JobState.SUCCEEDED, outcome=outcome))
    path = f"/train/{job_id}/events"
    answer = service.get(path)

    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["Cache-Control"] == "no-store"
    events = events_of(answer.text)
    assert [(number, name) for number, name, _ in events] == [
        ("1", "log"),
        ("2", "log"),
        ("3", "log"),
        ("", "progress"),
        ("", "end"),
    ]
    assert events[1][2]["message"] == "a line\nof two"
    assert events[3][2] == service.get(f"/train/{job_id}").json()
    assert events[4][2]["state"] == "succeeded"
    again = events_of(service.get(path, headers={"Last-Event-ID": "2"}).text)
    assert [name for _, name, _ in again] == ["log", "progress", "end"]
    assert again[0][0] == "3"
    for nonsense in ("-1", "x", "9" * 30):
        assert len(events_of(service.get(path, headers={"Last-Event-ID": nonsense}).text)) == 5


@pytest.fixture
def listeners(service: Service) -> JobListeners:
    return JobListeners(service.state["jobs"], lambda: False)


def test_listeners_hear_changes_and_signs_of_life(
    service: Service,
    queue: TrainingQueue,
    listeners: JobListeners,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.api.job_events.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("app.api.job_events.HEARTBEAT_SECONDS", 0.05)
    job_id = submitted(service)

    async def listen() -> list[str]:
        heard = []
        events = await listeners.listen(job_id, 0)
        async for text in events:
            heard.append(text)
            if text == ": alive\n\n":
                # The job's own sign of life, which is no news, and then its end.
                queue.note(job_id, JobNote(None, None))
                queue.finish(job_id, JobEnding(JobState.CANCELLED))
            elif '"queued"' in text:
                queue.claim()
        return heard

    heard = asyncio.run(asyncio.wait_for(listen(), 60))
    assert heard[0].startswith("retry: ")
    names = [name for _, name, _ in events_of("".join(heard))]
    assert names == ["progress", "log", "progress", "log", "progress", "end"]
    assert ": alive\n\n" in heard
    assert listeners._listening == 0


def test_listeners_are_sent_away_when_the_service_stops(service: Service) -> None:
    job_id = submitted(service)
    listeners = JobListeners(service.state["jobs"], lambda: True)

    async def listen() -> list[str]:
        return [text async for text in await listeners.listen(job_id, 0)]

    heard = asyncio.run(asyncio.wait_for(listen(), 60))
    assert [name for _, name, _ in events_of("".join(heard))] == ["progress"]


def test_there_is_a_limit_to_listeners(service: Service, listeners: JobListeners) -> None:
    job_id = submitted(service)

    async def crowd() -> None:
        # None of them has begun to read.
        asked = [listeners.listen(job_id, 0) for _ in range(MAX_LISTENERS + 3)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        streams: list[Any] = [each for each in answers if not isinstance(each, BaseException)]
        refused = [each for each in answers if isinstance(each, OverloadedError)]
        assert (len(streams), len(refused)) == (MAX_LISTENERS, 3)
        await anext(streams[0])
        for stream in streams:
            await stream.aclose()
        assert listeners._listening == 0
        await (await listeners.listen(job_id, 0)).aclose()  # type: ignore[attr-defined]

    asyncio.run(crowd())
