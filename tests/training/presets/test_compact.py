from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from app.domain.entities import Floats
from app.domain.errors import TrainingDataError
from app.domain.training import JobStoppedError, Preset, TrainingOptions
from app.inference.bundle import Bundle
from app.inference.litert import Network
from app.training.data.dataset import Dataset
from app.training.data.photos import OWNER
from app.training.datasets import Side
from app.training.export import Precision, to_tflite
from app.training.presets import compact
from app.training.presets.backend import FULL, MIXED, precision
from app.training.presets.batches import Faces, numpy_batches
from app.training.presets.checkpoint import Checkpoints
from app.training.presets.compact import CompactConfig, fitted_head, fitting, train_compact
from app.training.presets.compact_photos import ClassBatches
from app.training.presets.margin_model import Margin, margin_model
from app.training.presets.trained import Trained
from app.training.presets.verification import VerifiedPeople
from tests.training.presets.people import Listener, dataset, split

OPTIONS = TrainingOptions(preset=Preset.COMPACT, epochs=3)
QUICK = CompactConfig(batch=24, rate=0.02, warm_up=1, head_steps=20)
TEMPLATE_SIDE = 162


def small() -> Any:
    """A network that stands in for the compact one, which takes seconds a step."""
    image = keras.Input((112, 112, 3))
    x = keras.layers.AveragePooling2D(14)(image)
    x = keras.layers.Dense(64, activation="relu")(keras.layers.Flatten()(x))
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(image, keras.layers.Dense(16, dtype="float32")(x))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact, "compact_network", small)


def train(
    folder: Path,
    bundle: Bundle,
    *,
    data: Dataset | None = None,
    options: TrainingOptions = OPTIONS,
    config: CompactConfig = QUICK,
    listener: Listener | None = None,
) -> Trained:
    data = data or dataset(others=20, each=4)
    monitor = listener or Listener()
    checkpoints = Checkpoints(folder)
    return train_compact(data, split(data), bundle, options, checkpoints, monitor, 2, config=config)


def weights(trained: Trained) -> list[Floats]:
    return [*trained.model.get_weights(), trained.head.weights]


def test_the_compact_network_trains_and_is_the_same_when_exported(
    tmp_path: Path, bundle: Bundle
) -> None:
    config = replace(QUICK, batch=14)
    data = dataset(owners=3, others=6, each=2)
    trained = train(tmp_path, bundle, data=data, options=replace(OPTIONS, epochs=1), config=config)
    assert trained.model.count_params() == 1_022_720
    assert (trained.template.size, trained.unit_length, trained.mirror) == (112, True, False)
    chip = data.faces(0, trained.template, 0)[None].astype(np.float32)
    chip = (chip - np.float32(trained.mean[0])) * np.float32(trained.scale)
    exact = np.asarray(trained.model(chip, training=False))
    serving = Network(to_tflite(trained.model, Precision.FLOAT32), name="compact")(chip)[0]
    assert serving == pytest.approx(exact, abs=1e-3 * float(np.abs(exact).max()))
    assert len(trained.head.weights) == 128


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("margin", Margin)
def test_it_learns_to_tell_people_that_it_never_saw(
    tmp_path: Path, bundle: Bundle, margin: Margin
) -> None:
    data = dataset(others=60, each=4, light=60)
    trained = train(
        tmp_path,
        bundle,
        data=data,
        options=replace(OPTIONS, epochs=12),
        config=replace(QUICK, margin=margin),
    )
    assert trained.history[-1].loss < 0.8 * trained.history[0].loss
    rows = split(data).rows(Side.TEST)
    people = VerifiedPeople(data, rows, lambda row: data.faces(row, trained.template, 0))
    listener = Listener()
    found, untrained = (people.validate(n, listener) for n in (trained.model, small()))
    assert found
    assert untrained
    assert found.accuracy > untrained.accuracy + 0.3
    assert found.loss < untrained.loss / 2


@pytest.mark.usefixtures("stand_in")
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    tmp_path: Path, bundle: Bundle
) -> None:
    found = [
        weights(train(tmp_path / f"{n}", bundle, options=replace(OPTIONS, seed=number, epochs=1)))
        for n, number in enumerate((1, 1, 2))
    ]
    for first, second in zip(found[0], found[1], strict=True):
        assert first == pytest.approx(second, abs=1e-5)
    assert found[0][0] != pytest.approx(found[2][0], abs=1e-3)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("stop_at", [4])
def test_stopped_and_begun_again_it_gives_what_it_would_have_given(
    tmp_path: Path, bundle: Bundle, stop_at: int
) -> None:
    whole = train(tmp_path / "whole", bundle)
    with pytest.raises(JobStoppedError):
        train(tmp_path / "parts", bundle, listener=Listener(stop_at))
    again = train(tmp_path / "parts", bundle)
    for first, second in zip(weights(whole), weights(again), strict=True):
        assert first == pytest.approx(second, abs=1e-5)
    assert [r.loss for r in again.history] == pytest.approx([r.loss for r in whole.history])
    rates = [record.learning_rate for record in whole.history]
    assert rates[0] == pytest.approx(0.02)  # where the warm-up ends
    assert rates[0] > rates[1] > rates[2] == pytest.approx(0, abs=1e-6)


@pytest.mark.usefixtures("stand_in")
def test_without_validation_people_it_trains_all_epochs(tmp_path: Path, bundle: Bundle) -> None:
    data = dataset(owners=3, others=2, each=3)  # nobody validates
    trained = train(tmp_path, bundle, data=data)
    assert [record.validation_loss for record in trained.history] == [None] * 3
    assert trained.head.weights.max() > 0


def batches(data: Dataset, batch: int = 8) -> ClassBatches:
    return ClassBatches(
        data,
        split(data).rows(Side.TRAIN),
        Faces(lambda row: data.central(row, TEMPLATE_SIDE)),
        QUICK.augmentation,
        batch=batch,
        seed=3,
    )


def test_an_epoch_shows_every_photo_of_people_with_two_once() -> None:
    data = dataset(owners=5, others=10, each=3)
    alone = split(data).rows(Side.TRAIN)[-1]  # makes two people of one
    people = data.people.copy()
    people[alone] = 11
    drawn = batches(replace(data, people=people), batch=4)
    assert drawn.classes == 7  # the owner and six others
    assert drawn.photos == 6 + 17
    assert drawn.steps == 5
    seen = np.concatenate([drawn.make(step)[1] for step in range(drawn.steps)])
    assert len(seen) == 20
    assert np.bincount(seen, minlength=7).max() <= 6
    assert (drawn.make(0)[0] != drawn.make(drawn.steps)[0]).any()


def test_both_ways_to_prepare_batches_give_the_same() -> None:
    drawn = batches(dataset())
    steps = range(1, drawn.steps + 2)
    plain = list(numpy_batches(drawn.make, steps))
    prepared = list(drawn.prepared(steps, 2))
    assert len(plain) == len(prepared) == len(steps)
    for (crops, classes), (found, numbers) in zip(plain, prepared, strict=True):
        assert crops.shape == (8, 112, 112, 3)
        assert -1 <= crops.min() < -0.2 < 0.2 < crops.max() <= 1
        assert (found.numpy() == crops).all()
        assert (numbers.numpy() == classes).all()


def test_people_with_one_photo_each_teach_nothing() -> None:
    with pytest.raises(TrainingDataError, match="a folder"):
        batches(dataset(owners=1, others=20, each=1))


def test_photos_of_one_burst_are_not_verified_against_each_other() -> None:
    data = dataset(owners=2, others=4, each=3)
    groups = data.groups.copy()
    groups[4:7] = groups[4]
    rows = np.flatnonzero(data.people != OWNER)
    people = VerifiedPeople(replace(data, groups=groups), rows, lambda row: data.central(row, 112))
    assert people.rows.tolist() == [4, 7, 8, 9, 10, 11, 12, 13, 14, 15]


def test_a_network_that_tells_all_people_apart_is_right_about_all() -> None:
    data = dataset(owners=2, others=6, each=2, noise=0)
    people = VerifiedPeople(data, np.arange(len(data)), lambda row: data.central(row, 112))
    found = people.validate(small(), Listener())
    assert found
    assert found.accuracy == 1.0
    assert (
        VerifiedPeople(data, data.owner, lambda row: data.central(row, 112)).validate(
            small(), Listener()
        )
        is None
    )


@pytest.mark.parametrize("people", [[0, 0, 0], [0, 1, 2], [0]])
def test_a_head_without_pairs_of_both_kinds_weighs_all_numbers_alike(people: list[int]) -> None:
    embeddings = np.eye(4, dtype=np.float32)[: len(people)]
    head = fitted_head(embeddings, np.array(people, np.intp), steps=5, seed=1)
    assert head.weights.tolist() == [1, 1, 1, 1]


def test_without_a_gpu_batches_and_steps_are_smaller_alike() -> None:
    config = CompactConfig(batch=128, cpu_batch=32, rate=0.1)
    found = fitting(config, FULL)
    assert found.batch == 32
    assert found.rate == pytest.approx(0.025)
    assert fitting(config, MIXED) == config
    assert fitting(QUICK, FULL) == QUICK


def test_of_very_many_people_some_are_verified_with_all_their_photos() -> None:
    data = dataset(owners=40, others=600, each=2)
    people = VerifiedPeople(data, np.arange(len(data)), lambda row: data.central(row, 112))
    assert 1000 <= len(people.rows) < 1020
    assert len(set(people.rows.tolist())) == len(people.rows)
    counts = dict(zip(*np.unique(people.people, return_counts=True), strict=True))
    assert set(counts.values()) - {counts.get(OWNER)} == {2}
    assert counts.get(OWNER, 20) == 20


def test_in_half_precision_the_loss_is_scaled_and_weights_stay_whole() -> None:
    keras.utils.set_random_seed(1)
    with precision(MIXED):
        network = small()
        model = margin_model(network, 3, Margin.ADAFACE)
        model.compile(optimizer=keras.optimizers.SGD(0.01), jit_compile=False)
    assert keras.config.dtype_policy().name == "float32"
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    crops = np.random.default_rng(1).uniform(-1, 1, (6, 112, 112, 3)).astype(np.float32)
    losses = [float(model.train_on_batch(crops, np.array([0, 1, 2] * 2))) for _ in range(5)]
    assert np.isfinite(losses).all()
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}
    assert network.layers[1].compute_dtype == "float16"
    plain = small()
    plain.set_weights(network.get_weights())
    exact = np.asarray(plain(crops))
    assert np.asarray(network(crops)) == pytest.approx(exact, abs=0.02 * float(np.abs(exact).max()))


@pytest.mark.usefixtures("stand_in")
def test_no_photo_of_the_test_side_and_none_of_the_owner_decides_on_an_epoch(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, seen, validated = dataset(owners=5), set(), []

    def faces(row: int, template: Any, margin: int) -> Any:
        seen.add(row)
        return data.faces(row, template, margin)

    class Watched(VerifiedPeople):
        def __init__(self, dataset: Dataset, rows: Any, crops: Any) -> None:
            validated.append(rows)
            super().__init__(dataset, rows, crops)

    monkeypatch.setattr(compact, "VerifiedPeople", Watched)
    train(tmp_path, bundle, data=replace(data, faces=faces))
    sides = split(data)
    assert not seen & set(sides.rows(Side.TEST).tolist())
    owner = set(np.flatnonzero(data.people == OWNER).tolist())
    assert seen & owner & set(sides.rows(Side.TRAIN).tolist())
    assert owner & set(sides.rows(Side.VALIDATION).tolist())
    assert set(validated[0].tolist()) == set(sides.rows(Side.VALIDATION).tolist()) - owner
