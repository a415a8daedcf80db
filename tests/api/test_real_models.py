"""The shipped bundle and an altered copy of it take turns in the real service."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.runtime import open_serving_runtime
from app.settings import Settings
from tests.api.service import Service
from tests.api.test_degraded import eventually
from tests.api.test_errors import check_problem
from tests.hostile_pictures import portrait
from tests.model_folder import SHIPPED, add_version, copy_shipped, damage


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    models = tmp_path / "model"
    copy_shipped(models)
    add_version(models, "shifted", shift=2.0)
    settings = Settings(
        host="127.0.0.1",
        application_data_dir=tmp_path / "data",
        model_dir=models,
        inference_threads=1,
        log_format="json",
        sync_interval=0,
    )
    with Service(settings, open_serving_runtime) as service:
        yield service


def verdict(service: Service) -> dict[str, Any]:
    response = service.verify(portrait(), subject="Eileen")
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    assert answer["verified"]
    return answer


def test_real_bundles_take_turns(service: Service) -> None:
    assert service.enroll(portrait(), subject="Eileen").status_code == 201
    before = verdict(service)
    models = {each["version"]: each for each in service.get("/models").json()["models"]}
    assert models["shifted"]["problem"] is None

    answer = service.request("POST", "/models/shifted/activate")
    assert answer.status_code in {200, 202}
    eventually(lambda: service.get("/models").json()["activation"]["state"] == "done")
    after = verdict(service)
    assert after["model"] == {
        "version": "shifted",
        "fingerprint": models["shifted"]["fingerprint"],
    }
    assert after["model"]["fingerprint"] != before["model"]["fingerprint"]
    # The same photo under each: a mixture of two would not score so high.
    assert after["score"] == pytest.approx(before["score"], abs=0.02)

    answer = service.request("POST", f"/models/{SHIPPED}/activate")
    assert answer.status_code == 200
    again = verdict(service)
    assert (again["model"], again["score"]) == (before["model"], before["score"])
    listed = {each["version"]: each for each in service.get("/models").json()["models"]}
    assert (listed[SHIPPED]["references"], listed["shifted"]["references"]) == (1, 1)
    detail = service.get("/models/shifted").json()
    assert detail["manifest"]["version"] == "shifted"
    assert "Model card" in detail["model_card"]


def test_a_damaged_bundle_stays_out(service: Service) -> None:
    models = service.state["settings"].model_dir
    damage(models, "shifted")
    (models / "broken").mkdir()
    (models / "broken" / "manifest.json").write_text("{}")
    problem = check_problem(service.request("POST", "/models/shifted/activate"), "bundle_invalid")
    assert "fails its sha256" in problem["detail"]
    check_problem(service.request("POST", "/models/broken/activate"), "bundle_invalid")
    check_problem(service.get("/models/broken"), "bundle_invalid")
    listed = {each["version"]: each for each in service.get("/models").json()["models"]}
    assert listed["broken"]["problem"]
    assert listed[SHIPPED]["serving"]
    assert service.get("/readyz").json()["degraded"] == []
