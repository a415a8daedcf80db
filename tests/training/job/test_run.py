"""Whole jobs on the two public-domain portraits, from the folders to a bundle that serves."""

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.domain.entities import FacePolicy
from app.domain.errors import (
    ActivationRunningError,
    BundleError,
    ModelNotFoundError,
    TrainingDataError,
)
from app.domain.training import (
    Activation,
    EnrolledPhoto,
    JobOutcome,
    JobPlaces,
    JobStoppedError,
    Judgement,
    Preset,
    Stage,
    TrainingOptions,
)
from app.inference.bundle import active_version, load_bundle, set_active
from app.inference.decode import DecodeLimits
from app.inference.pipeline import Pipeline
from app.training.bundle_writer import STAGING
from app.training.job.memory import Decision, JobMemory
from app.training.job.run import TRAINERS, run_job
from app.training.presets.finetune import train_finetune
from app.training.presets.finetune_config import FinetuneConfig
from app.training.presets.seed import SeedConfig, train_seed
from tests.conftest import MODEL_DIR
from tests.pictures import encode
from tests.training.data.folders import Ear, portrait, put, shaded

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras, when it saves

BASE = active_version(MODEL_DIR)
OWNERS, STRANGERS = 16, 36


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos and crops, which all jobs here share."""
    folder = tmp_path_factory.mktemp("shared")
    for number in range(OWNERS):
        role = "anchor" if number % 2 else "positive"
        photo = shaded(portrait("hopper", number), number)
        put(folder / "data" / role, f"{number}.jpg", photo)
    for number in range(STRANGERS):
        person = folder / "data" / "negative" / f"person{number}"
        for take in range(2):
            seed = 1000 + 2 * number + take
            put(person, f"{take}.jpg", shaded(portrait("astronaut", seed), seed))
    return folder


class World:
    """A service's folders, and a job in them."""

    def __init__(self, shared: Path, folder: Path) -> None:
        self.places = JobPlaces(
            data_dir=shared / "data",
            model_dir=folder / "model",
            work_dir=folder / "job",
            crops_dir=shared / "crops",
            threads=2,
            max_fmr=0.1,
        )
        self.activated: list[str] = []
        self.places.work_dir.mkdir(parents=True)
        shutil.copytree(MODEL_DIR / BASE, self.places.model_dir / BASE)
        set_active(self.places.model_dir, BASE)

    def run(self, monitor: Ear | None = None, **options: Any) -> JobOutcome:
        return run_job(
            replace(TrainingOptions(epochs=1, subject="Grace"), **options),
            self.places,
            monitor or Ear(),
            lambda: iter(GALLERY),
            self.activated.append,
        )

    @property
    def versions(self) -> list[str]:
        return sorted(p.name for p in self.places.model_dir.iterdir() if p.is_dir())

    def report(self) -> Any:
        return json.loads((self.places.work_dir / "report.json").read_bytes())


GALLERY = [
    EnrolledPhoto(name, encode(shaded(portrait(person, seed), seed)), FacePolicy.PROMINENT)
    for name, person, seeds in (
        ("grace", "hopper", (501, 502)),
        ("eileen", "astronaut", (601, 602)),
    )
    for seed in seeds
]


@pytest.fixture
def world(shared: Path, tmp_path: Path) -> World:
    return World(shared, tmp_path)


class Busy(list[str]):
    """Refuses to activate anything."""

    def append(self, version: str) -> None:
        raise ActivationRunningError(f"not {version} now")


class Stumbling(Ear):
    """A monitor that ends the job's process, so to say, when a stage begins."""

    def __init__(self, at: Stage | None = None) -> None:
        super().__init__()
        self.stages: list[Stage] = []
        self._at = at

    def stage(self, stage: Stage) -> None:
        self.stages.append(stage)
        if stage is self._at:
            raise KeyboardInterrupt


def serves(world: World, version: str) -> Pipeline:
    made = Pipeline(load_bundle(world.places.model_dir / version), engines=1, limits=DecodeLimits())
    assert made.self_test()[0]
    return made


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer pairs and views: that training works is tested elsewhere, here that all of it meets."""
    seed = partial(train_seed, config=SeedConfig(pairs=16))
    finetune = partial(train_finetune, config=FinetuneConfig(views=3, degraded=1, steps=2))
    monkeypatch.setitem(TRAINERS, Preset.SEED, seed)
    monkeypatch.setitem(TRAINERS, Preset.FINETUNE, finetune)


@pytest.mark.parametrize("preset", Preset)
def test_a_job_makes_a_bundle_that_serves_and_tells_of_it(world: World, preset: Preset) -> None:
    monitor = Stumbling()
    outcome = world.run(monitor, preset=preset, activate=Activation.NEVER, version="mine")
    assert (outcome.version, outcome.activated, world.activated) == ("mine", False, [])
    assert outcome.judgement is not None
    assert monitor.stages == [stage for stage in Stage if stage is not Stage.ACTIVATE]
    assert world.versions == [BASE, "mine"]
    made = serves(world, "mine")
    calibration = made.decider.calibration
    assert calibration.subject == (None if preset is Preset.COMPACT else "grace")
    face = made.analyze(GALLERY[0].data, FacePolicy.PROMINENT)
    if preset is not Preset.COMPACT:  # so few people price nothing for everybody
        rate = calibration.buckets["1"][0].target_fmr
        verdict = made.decider.about("grace").decide(face, face.embedding[None], max_fmr=rate)
        assert verdict.decision == "match"
    folder = world.places.model_dir / "mine"
    manifest = load_bundle(folder).manifest
    assert manifest.preset == preset.value
    known = serves(world, BASE).analyze(GALLERY[0].data, FacePolicy.PROMINENT)
    assert face.quality == known.quality  # measured where the limits of the base's gates hold
    assert (manifest.quality_alignment is None) == (preset is Preset.FINETUNE)
    split = json.loads((folder / "split.json").read_bytes())
    sides: dict[int, set[str]] = {}
    for each in split["photos"]:
        sides.setdefault(each["group"], set()).add(each["side"])
    assert all(len(each) == 1 for each in sides.values())
    assert manifest.training["data"]["photos_of_the_owner"]["test"] == sum(
        (each["side"], each["person"]) == ("test", 0) for each in split["photos"]
    )
    assert "person1" not in (folder / "split.json").read_text()
    assert "mine" in (folder / "model_card.md").read_text()
    assert (world.places.work_dir / "report.html").read_text().startswith("<!doctype html>")
    assert world.report()["gate"]["judgement"] == outcome.judgement.value


def test_a_job_that_died_at_a_stage_goes_on_and_nothing_is_half_there(world: World) -> None:
    for at in Stage:
        with pytest.raises(KeyboardInterrupt):
            world.run(Stumbling(at), activate=Activation.ALWAYS)
        assert active_version(world.places.model_dir) == BASE
        whole = [name for name in world.versions if not name.startswith(STAGING)]
        assert len(whole) == (2 if at is Stage.ACTIVATE else 1)
        assert not world.activated
    again = Stumbling()
    outcome = world.run(again, activate=Activation.ALWAYS)
    assert outcome.version is not None
    assert world.versions == [BASE, outcome.version]
    assert world.activated == [outcome.version]
    assert again.stages == [Stage.ACTIVATE]
    serves(world, outcome.version)


def test_what_was_held_against_another_bundle_does_not_take_over(world: World) -> None:
    better = Decision(Judgement.BETTER, activate=True, reasons=("It is better.",))
    JobMemory("older", "mine", better).write(world.places.work_dir)
    (world.places.model_dir / "mine").mkdir()
    outcome = world.run()
    assert (outcome.activated, world.activated) == (False, [])
    assert f"held against older, but {BASE} was activated meanwhile" in outcome.reasons[0]
    assert outcome.reasons[1:] == ("It is better.",)
    assert world.run(activate=Activation.ALWAYS).activated
    assert world.activated == ["mine"]


def test_a_job_that_goes_on_does_not_undo_a_way_back(world: World) -> None:
    better = Decision(Judgement.BETTER, activate=True, reasons=("It is better.",))
    JobMemory(BASE, "mine", better, activated=True).write(world.places.work_dir)
    (world.places.model_dir / "mine").mkdir()
    assert world.run().activated
    assert not world.activated


@pytest.mark.parametrize("activation", [Activation.IF_BETTER, Activation.ALWAYS])
def test_an_activation_by_someone_else_comes_first(world: World, activation: Activation) -> None:
    better = Decision(Judgement.BETTER, activate=True, reasons=("It is better.",))
    JobMemory(BASE, "mine", better).write(world.places.work_dir)
    (world.places.model_dir / "mine").mkdir()
    world.activated = Busy()
    if activation is Activation.ALWAYS:
        with pytest.raises(ActivationRunningError):
            world.run(activate=activation)
        return
    outcome = world.run(activate=activation)
    assert not outcome.activated
    assert "just being activated" in outcome.reasons[0]


def test_a_job_that_is_told_to_stop_leaves_no_bundle(world: World) -> None:
    with pytest.raises(JobStoppedError):
        world.run(Ear(stop_at=1))
    assert world.versions == [BASE]


def test_photos_that_void_the_result_are_refused_before_any_training(
    world: World, tmp_path: Path
) -> None:
    data = tmp_path / "leaky"
    shutil.copytree(world.places.data_dir, data)
    for photo in (data / "anchor").iterdir():
        shutil.copy(photo, data / "positive" / f"copy{photo.name}")
    world.places = replace(world.places, data_dir=data)
    monitor = Stumbling()
    with pytest.raises(TrainingDataError) as caught:
        world.run(monitor)
    codes = {problem["code"] for problem in caught.value.extra["problems"]}
    assert codes == {"positives_copied"}
    # Whoever ends the job tells them.
    assert not any("positives_copied" in line for line in monitor.lines)
    assert all(p["message"] in caught.value.message for p in caught.value.extra["problems"])
    assert monitor.stages == [Stage.CHECK]
    assert world.report()["data"]["problems"][0]["code"] == "positives_copied"
    assert "copy" in (world.places.work_dir / "report.html").read_text()


def test_photos_that_changed_since_the_job_began_are_not_mixed_in(
    world: World, tmp_path: Path
) -> None:
    data = tmp_path / "changing"
    shutil.copytree(world.places.data_dir, data)
    world.places = replace(world.places, data_dir=data)
    with pytest.raises(KeyboardInterrupt):
        world.run(Stumbling(Stage.TRAIN))
    (data / "anchor" / "1.jpg").unlink()
    with pytest.raises(TrainingDataError, match="0 came and 1 went"):
        world.run()


def test_a_base_that_is_gone_is_named(world: World) -> None:
    with pytest.raises(KeyboardInterrupt):
        world.run(Stumbling(Stage.TRAIN))
    (world.places.model_dir / BASE).rename(world.places.model_dir / "other")
    with pytest.raises(ModelNotFoundError, match=f"started from the bundle {BASE}, which is gone"):
        world.run()


def test_a_name_that_is_taken_is_refused(world: World) -> None:
    with pytest.raises(BundleError, match="exists"):
        world.run(version=BASE)
