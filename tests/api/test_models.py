"""`/models`: what is there, and another one taking over while requests go on."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from threading import Event
from typing import Any

import pytest
from pydantic import SecretStr

from app.api.routes import models as routes
from app.domain.calibration import Calibration
from app.domain.entities import FacePolicy, FaceTemplate
from app.domain.errors import BundleError
from app.inference.bundle import set_active
from app.settings import Settings
from tests.api.service import Service, open_dummy_runtime
from tests.api.test_degraded import degraded, eventually
from tests.api.test_errors import check_problem
from tests.dummy_bundles import FINGERPRINTS, DummyBundles
from tests.dummy_pipeline import DummyPipeline, photo


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take longer over a change than a caller is made to wait."""
    monkeypatch.setattr(routes, "PATIENCE_SECONDS", 60.0)


@pytest.fixture
def bundles(settings: Settings) -> DummyBundles:
    return DummyBundles(settings.application_data_dir / "model")


@pytest.fixture
def opened(bundles: DummyBundles) -> Callable[[Settings], Service]:
    return lambda settings: Service(
        settings,
        lambda given: open_dummy_runtime(given, bundles.load("one")),
        lambda _settings: bundles,
    )


@pytest.fixture
def service(settings: Settings, opened: Callable[[Settings], Service]) -> Iterator[Service]:
    with opened(settings) as service:
        yield service


def activate(service: Service, version: str) -> Any:
    response = service.request("POST", f"/models/{version}/activate")
    assert response.status_code == 200, response.text
    return response.json()


def listed(service: Service) -> dict[str, dict[str, Any]]:
    return {each["version"]: each for each in service.get("/models").json()["models"]}


class GatedPipeline(DummyPipeline):
    """Waits until it may analyze."""

    def __init__(self, version: str) -> None:
        super().__init__(version=version, fingerprint=FINGERPRINTS[version])
        self.gate = Event()

    def analyze(self, data: bytes, policy: FacePolicy) -> FaceTemplate:
        assert self.gate.wait(60)
        return super().analyze(data, policy)


def test_the_list_tells_what_serves(service: Service) -> None:
    service.enroll(photo("alice"), photo("alice", 1))
    answer = service.get("/models").json()
    assert answer["activation"] is None
    found = listed(service)
    assert set(found) == {"one", "two", "three"}
    flags = {name: (each["active"], each["serving"]) for name, each in found.items()}
    assert flags == {"one": (True, True), "two": (False, False), "three": (False, False)}
    assert found["one"]["references"] == 2
    assert found["one"]["self_test"]["ok"]
    assert found["two"]["self_test"] is None


def test_activation_and_the_way_back(service: Service) -> None:
    service.enroll(photo("alice"))
    answer = activate(service, "two")
    assert answer["status_url"] == "/models"
    assert answer["activation"]["state"] == "done"
    model = {"version": "two", "fingerprint": FINGERPRINTS["two"]}
    assert service.verify(photo("alice", 1)).json()["model"] == model
    for path in ("/version", "/readyz"):
        assert service.get(path).json()["model"] == model
    labels = f'fingerprint="{FINGERPRINTS["two"]}",version="two"'
    assert service.metric(f"facetwin_model_info{{{labels}}}") == 1
    assert service.get("/readyz").json()["references"] == 1
    found = listed(service)
    assert found["two"]["active"]
    assert found["two"]["serving"]
    assert (found["one"]["references"], found["two"]["references"]) == (1, 1)
    assert service.get("/models").json()["activation"]["version"] == "two"
    activate(service, "one")
    assert service.verify(photo("alice", 1)).json()["model"]["version"] == "one"


def test_who_loses_the_price_is_named(service: Service, bundles: DummyBundles) -> None:
    points = DummyPipeline().decider.calibration.buckets
    bundles.made["two"] = lambda: DummyPipeline(
        version="two",
        fingerprint=FINGERPRINTS["two"],
        calibration=Calibration(points, subject="alice"),
    )
    service.enroll(photo("alice"))
    (warning,) = activate(service, "two")["activation"]["warnings"]
    assert "everybody but alice with any number of references; /compare" in warning
    assert service.get("/models").json()["activation"]["warnings"] == [warning]
    assert activate(service, "one")["activation"]["warnings"] == []


def test_one_model(service: Service) -> None:
    answer = service.get("/models/two").json()
    assert answer == {"version": "two", "manifest": {"version": "two"}, "model_card": "# two"}
    check_problem(service.get("/models/four"), "model_not_found")
    check_problem(service.get("/models/.building-one"), "model_not_found")


def test_what_can_go_wrong_has_its_problem(service: Service, bundles: DummyBundles) -> None:
    def damaged() -> DummyPipeline:
        raise BundleError("The bundle two was altered: embedding.tflite fails its sha256.")

    check_problem(service.request("POST", "/models/four/activate"), "model_not_found")
    bundles.made["two"] = damaged
    check_problem(service.request("POST", "/models/two/activate"), "bundle_invalid")
    activation = service.get("/models").json()["activation"]
    assert (activation["state"], activation["code"]) == ("failed", "bundle_invalid")
    assert "sha256" in activation["error"]
    # Nobody else has asked for it: the service is not degraded by a wish.
    assert degraded(service) == []
    assert listed(service)["one"]["serving"]


def test_an_activation_that_takes_long_goes_on(
    service: Service, bundles: DummyBundles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "PATIENCE_SECONDS", 0.05)
    service.enroll(photo("alice"), photo("alice", 1))
    gated = GatedPipeline("two")
    bundles.made["two"] = lambda: gated
    response = service.request("POST", "/models/two/activate")
    assert response.status_code == 202
    assert response.json()["status_url"] == "/models"
    assert response.json()["activation"]["state"] in {"loading", "embedding"}
    check_problem(service.request("POST", "/models/three/activate"), "activation_running")
    assert service.verify(photo("alice", 2)).json()["model"]["version"] == "one"
    gated.gate.set()
    eventually(lambda: service.get("/models").json()["activation"]["state"] == "done")
    activation = service.get("/models").json()["activation"]
    assert (activation["done"], activation["total"], activation["error"]) == (2, 2, None)
    assert service.verify(photo("alice", 2)).json()["model"]["version"] == "two"


def test_a_model_that_failed_its_self_test_can_be_replaced(
    settings: Settings, bundles: DummyBundles
) -> None:
    class Failed(DummyPipeline):
        def self_test(self) -> tuple[bool, str]:
            return False, "least golden cosine 0.5"

    first = Failed(version="one", fingerprint=FINGERPRINTS["one"])
    with Service(
        settings, lambda given: open_dummy_runtime(given, first), lambda _: bundles
    ) as service:
        check_problem(service.verify(photo("alice")), "not_ready")
        assert not listed(service)["one"]["self_test"]["ok"]
        activate(service, "two")
        assert service.get("/readyz").status_code == 200
        assert service.enroll(photo("alice")).status_code == 201


def test_a_pointer_that_cannot_be_followed_degrades_the_service(
    settings: Settings,
    opened: Callable[[Settings], Service],
    bundles: DummyBundles,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.main.POLL_SECONDS", 0.01)
    with opened(settings) as service:
        service.enroll(photo("alice"))
        set_active(bundles.folder, "gone")
        eventually(lambda: degraded(service) == ["model_not_activated"])
        (problem,) = service.get("/readyz").json()["degraded"]
        assert "'gone'" in problem["message"]
        assert service.metric('facetwin_degraded{code="model_not_activated"}') == 1
        assert service.verify(photo("alice", 1)).json()["verified"]
        set_active(bundles.folder, "two")
        eventually(lambda: service.get("/version").json()["model"]["version"] == "two")
        eventually(lambda: degraded(service) == [])
        assert service.metric('facetwin_degraded{code="model_not_activated"}') == 0


def test_the_folder_is_followed_for_the_new_model(
    settings: Settings, opened: Callable[[Settings], Service]
) -> None:
    with opened(settings.model_copy(update={"sync_interval": 0.01})) as service:
        activate(service, "two")
        (settings.images_dir / "a.jpg").write_bytes(photo("alice"))
        eventually(lambda: listed(service)["two"]["references"] == 1)
        assert service.verify(photo("alice", 1)).json()["model"]["version"] == "two"
        assert listed(service)["one"]["references"] == 0


@pytest.mark.parametrize("role", ["verify", "enroll"])
def test_only_an_administrator_may(
    settings: Settings, opened: Callable[[Settings], Service], role: str
) -> None:
    keys = tuple(SecretStr(f"{name}:a-key-of-role-{name}") for name in (role, "admin"))
    with opened(settings.model_copy(update={"api_keys": keys})) as service:
        for method, path in (
            ("GET", "/models"),
            ("GET", "/models/two"),
            ("POST", "/models/two/activate"),
        ):
            headers = {"X-API-Key": f"a-key-of-role-{role}"}
            check_problem(service.request(method, path, headers=headers), "forbidden")
            headers = {"X-API-Key": "a-key-of-role-admin"}
            assert service.request(method, path, headers=headers).status_code == 200


class Traffic:
    """Clients that verify and enroll until they are told to stop, and check each answer.

    Attributes:
        wrong: What no answer may be.
        seen: Versions that verified.
        enrolled: Image ids that were acknowledged.
    """

    PEOPLE = ("alice", "bob")
    PHOTOS = 4

    def __init__(self, service: Service) -> None:
        self._service = service
        self._numbers = count()
        self._versions = {fingerprint: version for version, fingerprint in FINGERPRINTS.items()}
        self.done = Event()
        self.wrong: list[str] = []
        self.seen: set[str] = set()
        self.enrolled: set[str] = set()
        for name in self.PEOPLE:
            service.enroll(*(photo(name, i) for i in range(self.PHOTOS)), subject=name)

    def verify(self) -> None:
        while not self.done.is_set():
            number = next(self._numbers)
            name = self.PEOPLE[number % 2]
            response = self._service.verify(photo(name, f"p{number}"), subject=name, detail="true")
            if response.status_code != 200 or not self._is_of_one_model(response.json()):
                self.wrong.append(f"{response.status_code} {response.text}")

    def _is_of_one_model(self, answer: dict[str, Any]) -> bool:
        model = answer["model"]
        self.seen.add(model["version"])
        # Under one fingerprint the same person scores high; across two, about 0.
        scores = [each["score"] for each in answer["references"]]
        is_sound = answer["verified"] and min(scores) > 0.9 and len(scores) == self.PHOTOS
        return is_sound and self._versions[model["fingerprint"]] == model["version"]

    def enroll(self) -> None:
        while not self.done.is_set():
            response = self._service.enroll(photo("carol", next(self._numbers)), subject="carol")
            if response.status_code == 201:
                self.enrolled.add(response.json()["enrolled"][0]["image_id"])
            else:
                self.wrong.append(f"{response.status_code} {response.text}")


def test_no_answer_mixes_two_models(settings: Settings, service: Service) -> None:
    """Verifications and enrolments from several threads, through swaps and ways back."""
    traffic = Traffic(service)
    with ThreadPoolExecutor(4) as threads:
        clients = (traffic.verify, traffic.verify, traffic.verify, traffic.enroll)
        working = [threads.submit(client) for client in clients]
        try:
            for version in ("two", "one", "two", "three", "two", "one"):
                activate(service, version)
        finally:
            traffic.done.set()
        for future in working:
            future.result(60)
    assert traffic.wrong == []
    assert len(traffic.seen) >= 2
    assert traffic.enrolled
    assert listed(service)["one"]["references"] == 8 + len(traffic.enrolled)
    with closing(sqlite3.connect(settings.application_data_dir / "facetwin.sqlite")) as database:
        rows = database.execute(
            "SELECT image_id FROM embeddings WHERE fingerprint = ?", [FINGERPRINTS["one"]]
        )
        assert traffic.enrolled <= {row[0] for row in rows}


def test_a_request_uses_what_served_when_it_began(
    settings: Settings, bundles: DummyBundles
) -> None:
    """It waits in the middle while another model takes over and enrolls people anew."""
    gated = GatedPipeline("one")
    gated.gate.set()
    with Service(
        settings, lambda given: open_dummy_runtime(given, gated), lambda _: bundles
    ) as service:
        service.enroll(photo("alice"))
        gated.gate.clear()
        with ThreadPoolExecutor(2) as threads:
            verdict = threads.submit(service.verify, photo("alice", 1))
            enrolment = threads.submit(service.enroll, photo("alice", 2))
            eventually(lambda: service.state["pool"].in_flight == 2)
            response = threads.submit(service.request, "POST", "/models/two/activate")
            gated.gate.set()
            assert response.result(60).status_code == 200
            assert verdict.result(60).json()["model"]["version"] == "one"
            assert enrolment.result(60).status_code == 201
        assert listed(service)["two"]["references"] == 2
