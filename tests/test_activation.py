"""Activation from another process: the pointer is written last, and everything before is undone."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from app import activation
from app.activation import activate_version
from app.domain.audit import Actor
from app.domain.calibration import Calibration
from app.domain.errors import (
    ActivationRunningError,
    BundleError,
    FacetwinError,
    ModelNotFoundError,
    StorageError,
    UnsupportedFmrError,
)
from app.runtime import open_runtime
from app.services import re_embedding
from app.settings import Settings
from tests.activation_kills import begin_anew, enroll_people, opened, serves
from tests.dummy_bundles import FINGERPRINTS, DummyBundles
from tests.dummy_pipeline import DummyPipeline
from tests.services.test_crashes import STEPS, Fault

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FailedSelfTest(DummyPipeline):
    def self_test(self) -> tuple[bool, str]:
        return False, "least golden cosine 0.5"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        application_data_dir=tmp_path / "data",
        model_dir=tmp_path / "model",
        service_key="a service key for tests only, 32+",
    )


@pytest.fixture
def bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DummyBundles:
    bundles = DummyBundles(tmp_path / "model")
    monkeypatch.setattr(activation, "bundle_shelf", lambda _settings: bundles)
    monkeypatch.setattr(re_embedding, "PAUSE_SECONDS", 0.0)
    return bundles


@pytest.fixture(autouse=True)
def _enrolled(settings: Settings, bundles: DummyBundles) -> None:
    enroll_people(settings, bundles)


def test_another_model_is_active_and_everyone_is_embedded(
    settings: Settings, bundles: DummyBundles
) -> None:
    steps: list[tuple[int, int]] = []
    activate_version(settings, "two", lambda done, total: steps.append((done, total)))
    assert steps[-1] == (4, 4)
    assert bundles.pointer() == "two"
    again = bundles.load("two")
    open_runtime(settings, pipeline=again).close()
    assert again.analyzed == 0
    assert serves(settings, bundles) == "two"


def test_the_log_tells_who_did_it(settings: Settings, bundles: DummyBundles) -> None:
    activate_version(settings, "two", actor=Actor("training"))
    runtime = opened(settings, bundles)
    (entry,) = [e for e in runtime.audit.tail(50) if e.action == "activate_model"]
    runtime.close()
    assert (entry.actor, entry.outcome) == ("training", "activated")
    assert (entry.details["model"], entry.details["before"]) == ("two", "one")


def test_it_works_without_an_active_model(settings: Settings, bundles: DummyBundles) -> None:
    (bundles.folder / "active").unlink()
    activate_version(settings, "two")
    assert serves(settings, bundles) == "two"


REFUSALS: dict[str, tuple[str, Callable[[], DummyPipeline], type[FacetwinError]]] = {
    "self-test": ("failed its self-test", FailedSelfTest, BundleError),
    "price": (
        "FACETWIN_MAX_FMR",
        lambda: DummyPipeline(version="two", calibration=Calibration({})),
        UnsupportedFmrError,
    ),
}


@pytest.mark.parametrize("why", REFUSALS)
def test_a_model_that_must_not_serve_is_refused_before_anything_is_embedded(
    settings: Settings, bundles: DummyBundles, why: str
) -> None:
    message, made, error = REFUSALS[why]
    bundles.made["two"] = made
    with pytest.raises(error, match=message):
        activate_version(settings, "two")
    assert serves(settings, bundles) == "one"


def test_a_model_for_one_subject_may_serve(settings: Settings, bundles: DummyBundles) -> None:
    """Its price for that one is enough, as at a start."""
    points = DummyPipeline().decider.calibration.buckets
    for calibration in (
        Calibration(points, subject="alice"),
        Calibration({}, subject="alice", others=points),
    ):
        bundles.made["two"] = lambda c=calibration: DummyPipeline(  # type: ignore[misc]
            version="two", fingerprint=FINGERPRINTS["two"], calibration=c
        )
        activate_version(settings, "two")
        activate_version(settings, "one")


def test_who_loses_the_price_is_named(settings: Settings, bundles: DummyBundles) -> None:
    assert activate_version(settings, "two") == ()
    points = DummyPipeline().decider.calibration.buckets
    bundles.made["three"] = lambda: DummyPipeline(
        version="three",
        fingerprint=FINGERPRINTS["three"],
        calibration=Calibration(points, subject="alice"),
    )
    (warning,) = activate_version(settings, "three")
    assert "everybody but alice with any number of references; /compare" in warning
    assert activate_version(settings, "one") == ()


@pytest.mark.parametrize("pointer", ["gone", "three"])
def test_of_a_model_before_that_cannot_be_read_nothing_is_known_to_be_lost(
    settings: Settings, bundles: DummyBundles, pointer: str
) -> None:
    def damaged() -> NoReturn:
        raise BundleError("The bundle three was altered.")

    points = DummyPipeline().decider.calibration.buckets
    bundles.made["three"] = damaged
    bundles.made["two"] = lambda: DummyPipeline(
        version="two",
        fingerprint=FINGERPRINTS["two"],
        calibration=Calibration(points, subject="alice"),
    )
    (bundles.folder / "active").write_text(f"{pointer}\n")
    assert activate_version(settings, "two") == ()


def test_a_model_that_does_not_exist(settings: Settings, bundles: DummyBundles) -> None:
    with pytest.raises(ModelNotFoundError):
        activate_version(settings, "four")
    assert serves(settings, bundles) == "one"


def test_who_activated_another_one_meanwhile_prevails(
    settings: Settings, bundles: DummyBundles
) -> None:
    def overtake(done: int, total: int) -> None:
        if done == total:
            bundles.point_to("three")

    with pytest.raises(ActivationRunningError, match="was being prepared"):
        activate_version(settings, "two", overtake)
    assert bundles.pointer() == "three"


def outcomes(settings: Settings, bundles: DummyBundles, error: OSError) -> list[tuple[bool, str]]:
    """Activate with a fault at each step in turn: whether that failed, and what serves then."""
    found: list[tuple[bool, str]] = []
    while True:
        begin_anew(settings, bundles)
        fault = Fault(len(found), error)
        failed = False
        try:
            with fault.armed(STEPS):
                activate_version(settings, "two")
        except (FacetwinError, OSError):
            failed = True
        if fault.steps <= len(found):
            return found
        found.append((failed, serves(settings, bundles)))


def test_a_process_that_is_killed_at_any_step_leaves_one_model_or_the_other(
    tmp_path: Path,
) -> None:
    """Really killed, in children of another process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.activation_kills", str(tmp_path / "kills")],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    versions: list[str] = json.loads(done.stdout.splitlines()[-1])
    assert len(versions) > 5
    # The old one up to some step, the new one from there on: never anything between.
    assert set(versions) == {"one", "two"}
    assert versions == sorted(versions, key=["one", "two"].index)


@pytest.mark.filterwarnings("ignore:transaction already deassociated")
def test_a_full_disk_at_any_step_leaves_the_model_that_the_error_says(
    settings: Settings, bundles: DummyBundles
) -> None:
    found = outcomes(settings, bundles, FULL)
    assert len(found) > 5
    # Some steps are of use but not needed, such as emptying the database's log.
    assert set(found) == {(True, "one"), (False, "two")}
    assert [path.name for path in bundles.folder.iterdir()] == ["active"]


@pytest.mark.parametrize("step", ["write_text", "replace"])
def test_a_pointer_on_a_full_disk_stays_as_it_was(
    settings: Settings, bundles: DummyBundles, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: object, **__: object) -> NoReturn:
        raise FULL

    with monkeypatch.context() as patch:
        patch.setattr(Path, step, full)
        with pytest.raises(StorageError, match="No space left"):
            activate_version(settings, "two")
    assert [path.name for path in bundles.folder.iterdir()] == ["active"]
    assert serves(settings, bundles) == "one"
