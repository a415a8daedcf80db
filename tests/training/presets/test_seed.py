import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from app.domain.entities import Floats
from app.domain.training import Crop, JobStoppedError, Pooling, Preset, TrainingOptions
from app.inference.bundle import Bundle
from app.inference.litert import Network
from app.training.data.dataset import Dataset
from app.training.datasets import Side
from app.training.export import Precision, to_tflite
from app.training.presets import seed
from app.training.presets.batches import Faces, numpy_batches
from app.training.presets.checkpoint import Checkpoints
from app.training.presets.pair_batches import PairBatches
from app.training.presets.pairs import PairDrawing
from app.training.presets.seed import SeedConfig, train_seed
from app.training.presets.trained import Trained
from tests.training.presets.people import Listener, dataset, split

OPTIONS = TrainingOptions(preset=Preset.SEED, epochs=3, crop=Crop.CENTRAL)
QUICK = SeedConfig(rate=5e-3, pairs=24)


def small(_pooling: Pooling = Pooling.PUBLISHED) -> Any:
    """A network that stands in for the tutorial's, which takes seconds a step."""
    image = keras.Input((100, 100, 3))
    x = keras.layers.AveragePooling2D(10)(image)
    x = keras.layers.Dense(24, activation="sigmoid")(keras.layers.Flatten()(x))
    return keras.Model(image, x)


def train(
    folder: Path,
    bundle: Bundle,
    *,
    data: Dataset | None = None,
    options: TrainingOptions = OPTIONS,
    config: SeedConfig = QUICK,
    listener: Listener | None = None,
) -> Trained:
    data = data or dataset()
    monitor = listener or Listener()
    checkpoints = Checkpoints(folder)
    return train_seed(data, split(data), bundle, options, checkpoints, monitor, 2, config=config)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seed, "seed_network", small)


def weights(trained: Trained) -> list[Floats]:
    return [*trained.model.get_weights(), trained.head.weights]


def test_the_tutorials_network_trains_and_is_the_same_when_exported(
    tmp_path: Path, bundle: Bundle
) -> None:
    options = replace(OPTIONS, epochs=1, crop=Crop.ALIGNED)
    trained = train(tmp_path, bundle, options=options, config=SeedConfig(pairs=8))
    assert trained.model.count_params() == 38_960_448
    assert (trained.template.size, trained.central, trained.unit_length) == (100, False, False)
    assert (trained.mean, trained.scale, trained.mirror) == ((0, 0, 0), 1 / 255, False)
    assert len(trained.head.weights) == 4096
    chip = dataset().central(0, 100)[None].astype(np.float32) * np.float32(trained.scale)
    exact = np.asarray(trained.model(chip))
    serving = Network(to_tflite(trained.model, Precision.FLOAT32), name="seed")(chip)[0]
    assert serving == pytest.approx(exact, abs=1e-4)
    (record,) = trained.history
    assert record.learning_rate == pytest.approx(1e-4)
    assert np.isfinite([record.loss, record.validation_loss or np.nan]).all()


@pytest.mark.usefixtures("stand_in")
def test_it_learns_who_the_owner_is(tmp_path: Path, bundle: Bundle) -> None:
    trained = train(tmp_path, bundle, options=replace(OPTIONS, epochs=12))
    first, last = trained.history[0], trained.history[-1]
    assert last.loss < 0.6 * first.loss
    assert last.validation_accuracy
    assert last.validation_accuracy > 0.9
    data = dataset()
    test = split(data).rows(Side.TEST)
    pixels = np.stack([data.central(int(row), 100) for row in test]).astype(np.float32)
    embeddings = np.asarray(trained.model(pixels / 255))
    own = embeddings[data.people[test] == 0]
    others = embeddings[data.people[test] != 0]
    assert trained.head.logits(own[0], own[1:]).min() > trained.head.logits(own[0], others).max()


@pytest.mark.usefixtures("stand_in")
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    tmp_path: Path, bundle: Bundle
) -> None:
    found = [
        weights(train(tmp_path / f"{n}", bundle, options=replace(OPTIONS, seed=number, epochs=1)))
        for n, number in enumerate((1, 1, 2))
    ]
    for first, second in zip(found[0], found[1], strict=True):
        assert first == pytest.approx(second, abs=1e-6)
    assert found[0][0] != pytest.approx(found[2][0], abs=1e-3)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("stop_at", [5])
def test_stopped_and_begun_again_it_gives_what_it_would_have_given(
    tmp_path: Path, bundle: Bundle, stop_at: int
) -> None:
    whole = train(tmp_path / "whole", bundle)
    with pytest.raises(JobStoppedError):
        train(tmp_path / "parts", bundle, listener=Listener(stop_at))
    again = train(tmp_path / "parts", bundle)
    for first, second in zip(weights(whole), weights(again), strict=True):
        assert first == pytest.approx(second, abs=1e-6)
    assert [r.loss for r in again.history] == pytest.approx([r.loss for r in whole.history])


@pytest.mark.usefixtures("stand_in")
def test_other_photos_or_options_begin_anew(tmp_path: Path, bundle: Bundle) -> None:
    train(tmp_path, bundle, options=replace(OPTIONS, epochs=1))
    other = replace(dataset(), sha256=tuple("f" * 60 + f"{n:04d}" for n in range(len(dataset()))))
    for data, options in (
        (other, replace(OPTIONS, epochs=1)),
        (dataset(), replace(OPTIONS, epochs=1, pooling=Pooling.SMALL)),
    ):
        listener = Listener()
        train(tmp_path, bundle, data=data, options=options, listener=listener)
        assert listener.losses


@pytest.mark.usefixtures("stand_in")
def test_no_photo_of_the_test_side_is_looked_at(tmp_path: Path, bundle: Bundle) -> None:
    data, seen = dataset(), set()

    def central(row: int, size: int) -> Any:
        seen.add(row)
        return data.central(row, size)

    train(tmp_path, bundle, data=replace(data, central=central))
    sides = split(data)
    assert seen
    assert not seen & set(sides.rows(Side.TEST).tolist())
    assert seen & set(sides.rows(Side.VALIDATION).tolist())


def test_both_ways_to_prepare_batches_give_the_same() -> None:
    data = dataset()
    rows = split(data).rows(Side.TRAIN)
    drawing = PairDrawing(
        data, rows, embeddings=data.embeddings, seed=1, hard_share=0.5, nearest=0.1
    )
    batches = PairBatches(drawing, Faces(lambda row: data.central(row, 100)), 16, 1)
    steps = range(1, 6)  # over the end of an epoch of 60 pairs
    assert batches.steps == 3
    plain = list(numpy_batches(batches.make, steps))
    prepared = list(batches.prepared(steps, 2))
    assert len(plain) == len(prepared) == 5
    for (first, second, same), ((a, b), c) in zip(plain, prepared, strict=True):
        assert first.shape == second.shape == (16, 100, 100, 3)
        assert 0 <= first.min() < first.max() <= 1
        assert 0 < same.mean() < 1
        for array, tensor in ((first, a), (second, b), (same, c)):
            assert (tensor.numpy() == array).all()


@pytest.mark.usefixtures("stand_in")
def test_more_epochs_go_on_and_fewer_begin_anew(tmp_path: Path, bundle: Bundle) -> None:
    whole = train(tmp_path / "whole", bundle)
    first_epoch, more, fewer = Listener(), Listener(), Listener()
    one = replace(OPTIONS, epochs=1)
    train(tmp_path / "parts", bundle, options=one, listener=first_epoch)
    grown = train(tmp_path / "parts", bundle, listener=more)
    assert len(more.losses) == 2 * len(first_epoch.losses)
    for first, second in zip(weights(whole), weights(grown), strict=True):
        assert first == pytest.approx(second, abs=1e-6)
    cut = train(tmp_path / "parts", bundle, options=one, listener=fewer)
    assert len(cut.history) == 1
    assert len(fewer.losses) == len(first_epoch.losses)


def test_the_training_is_gone_before_the_served_network_is_built(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Together with moments and gradients it would take more memory than a job has."""
    models: list[weakref.ref[Any]] = []
    variables: list[Any] = []  # TensorFlow keeps them itself
    compiled = seed._compiled
    left: list[Any] = []

    def watched(network: Any, config: SeedConfig) -> Any:
        model = compiled(network, config)
        models.append(weakref.ref(model))
        model.optimizer.build(model.trainable_variables)
        variables.extend(each.value for each in (*model.weights, *model.optimizer.variables))
        return model

    def build(pooling: Pooling = Pooling.PUBLISHED) -> Any:
        left.extend(model() for model in models)
        left.extend(each.shape for each in variables if each.numpy().size > 1)
        return small(pooling)

    monkeypatch.setattr(seed, "_compiled", watched)
    monkeypatch.setattr(seed, "seed_network", build)
    train(tmp_path, bundle)
    assert left == [None]
