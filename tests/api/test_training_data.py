from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from app.domain.clock import utc_now
from app.domain.errors import StorageError
from app.domain.training import JobState
from app.domain.training_jobs import JobEnding
from app.settings import Settings
from app.storage.job_rows import JobRows
from app.storage.training_files import TrainingFiles
from tests.api.service import Service
from tests.api.test_errors import check_problem
from tests.dummy_pipeline import photo
from tests.services.trained import Trained


def post(
    service: Service, role: str, *photos: bytes, fields: dict[str, str] | None = None, **more: Any
) -> httpx.Response:
    files = [("files", (f"{i}.jpg", content)) for i, content in enumerate(photos)]
    return service.request("POST", f"/data/{role}", files=files, data=fields or {}, **more)


def test_photos_come_in_are_counted_and_deleted(service: Service, settings: Settings) -> None:
    answer = post(service, "anchor", photo("alice"), photo("alice", 1), b"noise")
    assert answer.status_code == 201
    body = answer.json()
    assert (body["role"], body["name"]) == ("anchor", "default")
    assert [p["filename"] for p in body["stored"]] == ["0.jpg", "1.jpg"]
    assert [(p["filename"], p["reasons"][0]["code"]) for p in body["rejected"]] == [
        ("2.jpg", "INVALID_IMAGE")
    ]
    places = [settings.data_dir / p["file"] for p in body["stored"]]
    size = sum(place.stat().st_size for place in places)
    assert body["total"] == {"photos": 2, "bytes": size, "folders": 1, "people": None}
    assert body["request_id"] == answer.headers["X-Request-ID"]

    post(service, "negative", photo("bob"), fields={"person": "bob"})
    post(service, "negative", photo("carl"), photo("dora"))
    counts = service.get("/data").json()
    assert {role: count["photos"] for role, count in counts.items()} == {
        "anchor": 2,
        "positive": 0,
        "negative": 3,
    }
    assert counts["negative"]["people"] == 3

    assert service.delete("/data/negative/bob").json() == {
        "role": "negative",
        "name": "bob",
        "deleted": 1,
    }
    check_problem(service.delete("/data/negative/bob"), "subject_not_found")
    assert service.delete("/data/negative").json()["deleted"] == 2
    assert service.delete("/data/anchor").json()["deleted"] == 2
    assert all(count["photos"] == 0 for count in service.get("/data").json().values())


@pytest.mark.parametrize("path", ["/data/anchor", "/data/anchor/alice"])
def test_photos_are_not_deleted_under_a_running_job(
    service: Service, settings: Settings, path: str
) -> None:
    post(service, "anchor", photo("alice"), fields={"subject": "alice"})
    trained = Trained(settings.application_data_dir, service.state["runtime"].database)
    trained.job("3" * 32, "bob", JobState.RUNNING)
    assert check_problem(service.delete(path), "job_conflict")["job_id"] == "3" * 32
    assert service.get("/data").json()["anchor"]["photos"] == 1
    with trained.database.write_apart() as connection:
        JobRows(connection).end("3" * 32, JobEnding(JobState.CANCELLED), utc_now())
    trained.job("4" * 32, "alice", JobState.QUEUED)
    assert service.delete(path).json()["deleted"] == 1


def test_if_nothing_is_stored_the_reasons_are_the_problem(service: Service) -> None:
    answer = post(service, "positive", b"noise", b"GIF89a", fields={"subject": "alice"})
    body = check_problem(answer, "enrollment_rejected")
    codes = [photo["reasons"][0]["code"] for photo in body["rejected"]]
    assert codes == ["INVALID_IMAGE", "INVALID_IMAGE"]


def test_a_request_can_be_repeated(service: Service) -> None:
    first = post(service, "positive", photo("alice"), fields={"subject": "alice"}).json()
    again = post(service, "positive", photo("alice"), fields={"subject": "ALICE"})
    assert again.status_code == 201
    assert [photo["already_there"] for photo in again.json()["stored"]] == [True]
    assert again.json()["stored"][0]["file"] == first["stored"][0]["file"]
    assert again.json()["total"] == first["total"]


def test_the_name_of_a_file_is_only_repeated(service: Service, settings: Settings) -> None:
    name = "../../../escape.jpg"
    files = [("files", (name, photo("alice")))]
    stored = service.request("POST", "/data/anchor", files=files).json()["stored"]
    assert stored[0]["filename"] == name
    found = [p for p in settings.data_dir.parent.rglob("*.jpg") if "data" in p.parts]
    assert found == [settings.data_dir / stored[0]["file"]]


def test_a_role_whose_person_is_a_link_is_not_written_through(
    service: Service, settings: Settings, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (settings.data_dir / "anchor").mkdir(parents=True)
    (settings.data_dir / "anchor" / "alice").symlink_to(outside)
    answer = post(service, "anchor", photo("alice"), fields={"subject": "alice"})
    check_problem(answer, "storage_unavailable")
    check_problem(service.delete("/data/anchor/alice"), "subject_not_found")
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    ("role", "fields"),
    [
        ("friends", {}),
        ("anchor", {"person": "bob"}),
        ("negative", {"subject": "alice"}),
        ("anchor", {"subject": "../alice"}),
        ("anchor", {"subject": ""}),
        ("negative", {"person": "a/b"}),
        ("anchor", {"unknown": "x"}),
    ],
)
def test_wrong_fields_are_refused(
    service: Service, settings: Settings, role: str, fields: dict[str, str]
) -> None:
    check_problem(post(service, role, photo("alice"), fields=fields), "invalid_request")
    assert not list(settings.data_dir.rglob("*.jpg"))


def test_metrics_name_the_route_and_no_person(service: Service) -> None:
    post(service, "anchor", photo("alice"), fields={"subject": "alice"})
    service.delete("/data/anchor/alice")
    metrics = service.get("/metrics").text
    for route, method in (("/data/{role}", "POST"), ("/data/{role}/{name}", "DELETE")):
        assert f'method="{method}",route="{route}"' in metrics
    assert "alice" not in metrics


def test_options_in_the_url_are_refused(service: Service) -> None:
    answer = post(service, "anchor", photo("alice"), params={"subject": "bob"})
    check_problem(answer, "invalid_request")


def test_as_many_bytes_and_photos_as_an_enrolment_may_have(service: Service) -> None:
    padded = [photo("alice", f"{i}{'x' * 90_000}") for i in range(4)]
    assert post(service, "anchor", *padded).status_code == 201
    too_many = post(service, "anchor", *(photo("alice", i) for i in range(6)))
    check_problem(too_many, "invalid_request")
    large = service.request("POST", "/data/anchor", content=b"x" * 400_001)
    check_problem(large, "image_too_large")


def test_only_the_administrator_may(settings: Settings) -> None:
    keys = (SecretStr("enroll:a-key-to-enroll-with"), SecretStr("admin:the-key-of-the-admin"))
    with Service(settings.model_copy(update={"api_keys": keys})) as service:
        enroll = {"headers": {"X-API-Key": "a-key-to-enroll-with"}}
        check_problem(post(service, "anchor", photo("alice"), **enroll), "forbidden")
        for method, path in (
            ("GET", "/data"),
            ("DELETE", "/data/anchor"),
            ("DELETE", "/data/anchor/default"),
        ):
            check_problem(service.request(method, path, **enroll), "forbidden")
        admin = {"headers": {"X-API-Key": "the-key-of-the-admin"}}
        assert post(service, "anchor", photo("alice"), **admin).status_code == 201


def test_a_disk_that_is_full_is_told(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StorageError("The training photos can't be stored: the disk is full.")

    monkeypatch.setattr(TrainingFiles, "add", full)
    answer = post(service, "anchor", photo("alice"))
    assert "full" in check_problem(answer, "storage_unavailable")["detail"]
