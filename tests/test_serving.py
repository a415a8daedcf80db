"""Another model takes over while the one before serves; whatever fails, that one goes on."""

import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import NoReturn

import pytest

from app.domain.audit import COMMAND
from app.domain.calibration import Calibration
from app.domain.entities import FacePolicy, FaceTemplate
from app.domain.errors import (
    ActivationRunningError,
    BundleError,
    FacetwinError,
    ModelNotFoundError,
    OverloadedError,
    StorageError,
    UnsupportedFmrError,
)
from app.domain.models import ActivationState
from app.inference.bundle import set_active
from app.runtime import Runtime
from app.services import re_embedding
from app.services.enrollment import Enrollment, Upload
from app.services.verification import VerifyOptions
from app.serving import Activation, Serving
from app.settings import Settings
from tests.api.service import open_dummy_runtime
from tests.dummy_bundles import FINGERPRINTS, DummyBundles
from tests.dummy_pipeline import DummyPipeline, photo

LONG = 60.0
OPTIONS = VerifyOptions(max_fmr=0.001)


class GatedPipeline(DummyPipeline):
    """Says that it is at work, and waits until it may go on."""

    def __init__(self, version: str) -> None:
        super().__init__(version=version, fingerprint=FINGERPRINTS[version])
        self.begun, self.gate = Event(), Event()

    def analyze(self, data: bytes, policy: FacePolicy) -> FaceTemplate:
        self.begun.set()
        assert self.gate.wait(LONG)
        return super().analyze(data, policy)


class FailedSelfTest(DummyPipeline):
    def self_test(self) -> tuple[bool, str]:
        return False, "least golden cosine 0.5, required 0.999"


class FailingPipeline(DummyPipeline):
    def analyze(self, data: bytes, policy: FacePolicy) -> NoReturn:
        raise RuntimeError("it fails")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(re_embedding, "PAUSE_SECONDS", 0.0)


@pytest.fixture
def bundles(tmp_path: Path) -> DummyBundles:
    return DummyBundles(tmp_path / "model")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(application_data_dir=tmp_path / "data", model_dir=tmp_path / "model")


@pytest.fixture
def swaps() -> list[str]:
    """Versions that took over."""
    return []


@pytest.fixture
def serving(settings: Settings, bundles: DummyBundles, swaps: list[str]) -> Iterator[Serving]:
    runtime = open_dummy_runtime(settings, bundles.load("one"))
    for name in ("alice", "bob"):
        enroll(runtime, name, photo(name), photo(name, 1))
    serving = Serving(
        runtime, bundles, lambda new: swaps.append(new.pipeline.version), poll_seconds=0
    )
    del runtime
    yield serving
    serving.close()
    serving.current.close()


def enroll(runtime: Runtime, subject: str, *photos: bytes) -> None:
    runtime.enrollment.enroll(subject, [Upload("p.jpg", data) for data in photos])


def finished(activation: Activation) -> Activation:
    assert activation.wait(LONG)
    return activation


def activate(serving: Serving, version: str) -> Activation:
    return finished(serving.activate(version, COMMAND))


def audited(serving: Serving) -> list[tuple[str, str | None, object]]:
    audit = serving.current.audit
    audit.flush()
    entries = [entry for entry in audit.tail(100) if entry.action == "activate_model"]
    return [(entry.actor, entry.outcome, entry.details["model"]) for entry in entries]


def verified(runtime: Runtime, subject: str, data: bytes) -> str:
    """The fingerprint of an answer that is a match."""
    result = runtime.verification.verify(data, subject, OPTIONS)
    assert result.verdict.verified
    assert result.fingerprint == runtime.pipeline.fingerprint
    return result.fingerprint


def test_another_model_takes_over(
    serving: Serving, bundles: DummyBundles, swaps: list[str]
) -> None:
    before = serving.current
    activation = activate(serving, "two")
    assert activation.error is None
    assert activation.status.state is ActivationState.DONE
    assert (activation.status.done, activation.status.total) == (4, 4)
    assert serving.activation == activation.status
    assert bundles.pointer() == "two"
    assert swaps == ["two"]
    assert verified(serving.current, "alice", photo("alice", "p")) == FINGERPRINTS["two"]
    assert serving.current.self_test.ok
    assert serving.current.database is before.database
    assert audited(serving) == [("cli", "activated", "two")]


def test_who_captured_the_model_before_finishes_with_it(serving: Serving) -> None:
    before = serving.current
    activate(serving, "two")
    assert verified(before, "alice", photo("alice", "p")) == FINGERPRINTS["one"]
    # What is enrolled through it has both embeddings, also now.
    enroll(before, "carol", photo("carol"))
    assert verified(before, "carol", photo("carol", 1)) == FINGERPRINTS["one"]
    assert verified(serving.current, "carol", photo("carol", 1)) == FINGERPRINTS["two"]


def test_the_model_before_leaves_memory_with_its_last_request(serving: Serving) -> None:
    held = serving.current
    pipeline = weakref.ref(held.pipeline)
    gallery = weakref.ref(held.gallery)
    activate(serving, "two")
    gc.collect()
    assert pipeline() is not None
    del held
    gc.collect()
    assert (pipeline(), gallery()) == (None, None)


def test_its_memory_is_given_back_then(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    trims: list[None] = []
    monkeypatch.setattr("app.serving.trim_heaps", lambda: trims.append(None))
    held = serving.current
    activate(serving, "two")
    serving.look()
    assert trims == []
    del held
    gc.collect()
    serving.look()
    serving.look()
    assert len(trims) == 1


def test_the_way_back_is_immediate(serving: Serving, bundles: DummyBundles) -> None:
    activate(serving, "two")
    enroll(serving.current, "carol", photo("carol"))
    again = DummyPipeline(version="one", fingerprint=FINGERPRINTS["one"])
    bundles.made["one"] = lambda: again
    activate(serving, "one")
    assert again.analyzed == 1
    assert verified(serving.current, "carol", photo("carol", 1)) == FINGERPRINTS["one"]


def test_photos_enrolled_meanwhile_are_embedded_by_both(
    serving: Serving, bundles: DummyBundles
) -> None:
    gated = GatedPipeline("two")
    bundles.made["two"] = lambda: gated
    before = serving.current
    activation = serving.activate("two", COMMAND)
    assert gated.begun.wait(LONG)
    assert serving.current is before
    gated.gate.set()
    enroll(before, "carol", photo("carol"))
    finished(activation)
    assert activation.error is None
    assert verified(serving.current, "carol", photo("carol", 1)) == FINGERPRINTS["two"]


def test_an_enrolment_that_began_before_is_waited_for(
    serving: Serving, bundles: DummyBundles
) -> None:
    """Its photo comes after everything else is embedded, and under the old model only."""
    before = serving.current
    apart = Enrollment(before.gallery, before.pipeline, before.audit)
    with before.enrollment.succession.enrolling() as coming:
        activation = serving.activate("two", COMMAND)
        while activation.status.done < 4:
            assert not activation.wait(0.01)
        assert not activation.wait(0.25)
        assert serving.current is before
        assert coming is None
        apart.enroll("carol", [Upload("p.jpg", photo("carol"))])
    finished(activation)
    assert activation.error is None
    assert verified(serving.current, "carol", photo("carol", 1)) == FINGERPRINTS["two"]


def test_one_activation_at_a_time(serving: Serving, bundles: DummyBundles) -> None:
    gated = GatedPipeline("two")
    bundles.made["two"] = lambda: gated
    activation = serving.activate("two", COMMAND)
    assert gated.begun.wait(LONG)
    with pytest.raises(ActivationRunningError, match="two is being activated"):
        serving.activate("three", COMMAND)
    gated.gate.set()
    finished(activation)
    assert activate(serving, "three").error is None


def test_a_model_that_does_not_exist_is_refused_at_once(serving: Serving) -> None:
    with pytest.raises(ModelNotFoundError):
        serving.activate("four", COMMAND)
    assert serving.activation is None


def broken_bundle() -> NoReturn:
    raise BundleError("The bundle two was altered: embedding.tflite fails its sha256.")


def crashing_bundle() -> NoReturn:
    raise ValueError("nobody expected this")


def two(
    kind: type[DummyPipeline] = DummyPipeline, calibration: Calibration | None = None
) -> DummyPipeline:
    return kind(version="two", fingerprint=FINGERPRINTS["two"], calibration=calibration)


FAILURES: dict[str, tuple[Callable[[], DummyPipeline], type[FacetwinError], str]] = {
    "damaged": (broken_bundle, BundleError, "sha256"),
    "self-test": (lambda: two(FailedSelfTest), BundleError, "failed its self-test"),
    "price": (
        lambda: two(calibration=Calibration({})),
        UnsupportedFmrError,
        "FACETWIN_MAX_FMR",
    ),
    "embedding": (lambda: two(FailingPipeline), StorageError, "4 references can't be"),
    "unexpected": (crashing_bundle, FacetwinError, "unexpected ValueError"),
}


@pytest.mark.parametrize("step", FAILURES)
def test_whatever_fails_the_model_before_serves(
    serving: Serving, bundles: DummyBundles, swaps: list[str], step: str
) -> None:
    made, error, message = FAILURES[step]
    bundles.made["two"] = made
    before = serving.current
    activation = activate(serving, "two")
    assert type(activation.error) is error
    assert message in activation.error.message
    assert activation.status.state is ActivationState.FAILED
    assert activation.status.code == error.code
    assert_unchanged(serving, bundles, before, swaps)
    assert audited(serving) == [("cli", error.code, "two")]
    # And nothing is left behind: the next one works, and enrolling embeds once.
    assert before.enrollment.succession._coming in (None, before.pipeline)
    bundles.made["two"] = two
    assert activate(serving, "two").error is None


def assert_unchanged(
    serving: Serving, bundles: DummyBundles, before: Runtime, swaps: list[str]
) -> None:
    assert serving.current is before
    assert bundles.pointer() == "one"
    assert swaps == []
    assert serving.problems == ()
    assert verified(serving.current, "alice", photo("alice", "p")) == FINGERPRINTS["one"]


def test_a_pointer_that_cannot_be_written_changes_nothing(
    serving: Serving, bundles: DummyBundles, swaps: list[str]
) -> None:
    def full(_version: str) -> NoReturn:
        raise StorageError("active can't be written: No space left on device.")

    bundles.pointed = full
    before = serving.current
    activation = activate(serving, "two")
    assert activation.status.code == "storage_unavailable"
    assert_unchanged(serving, bundles, before, swaps)


def test_a_model_that_failed_leaves_memory(serving: Serving, bundles: DummyBundles) -> None:
    made: list[weakref.ref[DummyPipeline]] = []

    def failing() -> DummyPipeline:
        pipeline = two(FailingPipeline)
        made.append(weakref.ref(pipeline))
        return pipeline

    bundles.made["two"] = failing
    assert activate(serving, "two").error is not None
    assert serving._worker is not None
    serving._worker.join(LONG)
    gc.collect()
    assert [reference() for reference in made] == [None]


def followed(serving: Serving) -> None:
    """Look at the pointer as the watch does, and wait for what follows."""
    before = serving._activation
    serving.look()
    if serving._activation is not None and serving._activation is not before:
        finished(serving._activation)


def test_the_pointer_of_another_process_is_followed(
    serving: Serving, bundles: DummyBundles, swaps: list[str]
) -> None:
    followed(serving)
    assert serving.activation is None
    set_active(bundles.folder, "two")
    followed(serving)
    assert swaps == ["two"]
    assert audited(serving) == [("service", "activated", "two")]
    followed(serving)
    assert swaps == ["two"]


def test_a_pointer_that_cannot_be_followed_is_a_problem_until_it_can(
    serving: Serving, bundles: DummyBundles, swaps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundles.made["two"] = broken_bundle
    set_active(bundles.folder, "two")
    followed(serving)
    (problem,) = serving.problems
    assert problem.code == "model_not_activated"
    assert "'two'" in problem.message
    assert "one goes on serving" in problem.message
    assert "fails its sha256" in problem.message
    # It is not tried at every look, but later, and then works.
    activation = serving.activation
    followed(serving)
    assert serving.activation is activation
    monkeypatch.setattr("app.serving.monotonic", lambda: 1e12)
    bundles.made["two"] = two
    followed(serving)
    assert swaps == ["two"]
    assert serving.problems == ()


@pytest.mark.parametrize("content", [None, "", "gone", "../one"])
def test_a_pointer_to_nothing_is_a_problem_that_ends_with_it(
    serving: Serving, bundles: DummyBundles, content: str | None
) -> None:
    pointer = bundles.folder / "active"
    pointer.unlink()
    if content is not None:
        pointer.write_text(content)
    followed(serving)
    assert [problem.code for problem in serving.problems] == ["model_not_activated"]
    set_active(bundles.folder, "one")
    followed(serving)
    assert serving.problems == ()
    assert serving.current.pipeline.version == "one"


def test_activating_what_serves_ends_the_problem(serving: Serving, bundles: DummyBundles) -> None:
    set_active(bundles.folder, "gone")
    followed(serving)
    assert serving.problems
    assert activate(serving, "one").error is None
    assert serving.problems == ()
    assert bundles.pointer() == "one"


def test_whoever_came_later_is_followed(
    serving: Serving, bundles: DummyBundles, swaps: list[str]
) -> None:
    """Another process points to a third model while this one prepares the second."""
    gated = GatedPipeline("two")
    bundles.made["two"] = lambda: gated
    activation = serving.activate("two", COMMAND)
    assert gated.begun.wait(LONG)
    set_active(bundles.folder, "three")
    gated.gate.set()
    finished(activation)
    assert activation.status.code == "activation_running"
    assert bundles.pointer() == "three"
    followed(serving)
    assert swaps == ["three"]
    assert serving.problems == ()


def test_stopping_the_service_stops_an_activation(
    serving: Serving, bundles: DummyBundles, swaps: list[str]
) -> None:
    gated = GatedPipeline("two")
    bundles.made["two"] = lambda: gated
    before = serving.current
    activation = serving.activate("two", COMMAND)
    assert gated.begun.wait(LONG)
    serving._closing.set()
    gated.gate.set()
    serving.close()
    assert finished(activation).error is not None
    assert_unchanged(serving, bundles, before, swaps)
    with pytest.raises(OverloadedError):
        serving.activate("three", COMMAND)


def test_the_watch_runs_by_itself(settings: Settings, bundles: DummyBundles) -> None:
    runtime = open_dummy_runtime(settings, bundles.load("one"))
    swapped = Event()
    serving = Serving(runtime, bundles, lambda _: swapped.set(), poll_seconds=0.01)
    serving.start()
    set_active(bundles.folder, "two")
    assert swapped.wait(LONG)
    serving.close()
    assert serving.current.pipeline.version == "two"
    serving.current.close()
