"""The loop on a network of two numbers: what it keeps, when it ends, what a kill costs."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from app.domain.errors import TrainingDataError
from app.domain.training import JobStoppedError
from app.training.presets.backend import MIXED, precision
from app.training.presets.checkpoint import Checkpoints
from app.training.presets.loop import Plan, Validation, fit
from tests.training.presets.people import Listener

STEPS = 4


def line() -> Any:
    """A line through points, and how many batches it has seen."""
    keras.utils.set_random_seed(1)
    x = keras.Input((1,))
    normal = keras.layers.BatchNormalization()(x)  # has weights that no gradient moves
    model = keras.Model(x, keras.layers.Dense(1)(normal))
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="mse", jit_compile=False)
    return model


def batches(steps: range) -> Iterator[tuple[Any, Any]]:
    for step in steps:
        x = np.random.default_rng(step).normal(size=(8, 1)).astype(np.float32)
        yield x, 3 * x + 1


def plan(model: Any, epochs: int = 3, **changes: Any) -> Plan:
    whole = Plan(
        model=model,
        batches=batches,
        steps=STEPS,
        epochs=epochs,
        validate=lambda: None,
        identity="this",
    )
    return replace(whole, **changes)


def ranked(*ranks: float) -> Callable[[], Validation]:
    """A validation that gives these ranks, one after the other."""
    found = iter(ranks)

    def validate() -> Validation:
        rank = next(found)
        return Validation(loss=-rank, accuracy=0.5, rank=rank)

    return validate


def equal(first: list[Any], second: list[Any]) -> bool:
    return all(map(np.array_equal, first, second))


def test_it_trains_every_epoch_and_tells_every_step(tmp_path: Path) -> None:
    listener = Listener()
    history = fit(plan(line(), epochs=20), Checkpoints(tmp_path), listener)
    assert [record.epoch for record in history] == list(range(1, 21))
    assert listener.epochs == [epoch for epoch in range(1, 21) for _ in range(STEPS)]
    assert history[0].loss == pytest.approx(np.mean(listener.losses[:STEPS]), rel=1e-6)
    assert history[-1].loss < history[0].loss / 2
    assert history[0].learning_rate == pytest.approx(0.05)
    assert history[0].validation_loss is None


@pytest.mark.parametrize(
    ("stop_at", "save_seconds"),
    [(1, 1e9), (1, 0.0), (STEPS, 0.0), (STEPS + 1, 1e9), (2 * STEPS + 2, 0.0)],
)
def test_stopped_anywhere_and_begun_again_it_ends_as_if_it_had_never_stopped(
    tmp_path: Path, stop_at: int, save_seconds: float
) -> None:
    whole = line()
    expected = fit(plan(whole), Checkpoints(tmp_path / "whole"), Listener())

    checkpoints = Checkpoints(tmp_path / "parts")
    with pytest.raises(JobStoppedError):
        fit(plan(line(), save_seconds=save_seconds), checkpoints, Listener(stop_at))
    again, listener = line(), Listener()
    found = fit(plan(again, save_seconds=save_seconds), checkpoints, listener)

    done = 3 * STEPS - len(listener.losses)  # not trained again
    # The step that ends an epoch is told before it is saved.
    saved = stop_at if stop_at % STEPS else stop_at - 1
    assert done == (saved // STEPS * STEPS if save_seconds else saved)
    assert equal(again.get_weights(), whole.get_weights())
    assert equal(values(again.optimizer.variables), values(whole.optimizer.variables))
    assert [replace(record, seconds=0) for record in found] == [
        replace(record, seconds=0) for record in expected
    ]


def test_in_half_precision_it_goes_on_with_the_scale_of_the_loss(tmp_path: Path) -> None:
    def halved() -> Any:
        with precision(MIXED):
            model = line()
        model.optimizer.dynamic_growth_steps = 3  # doubled after so many steps
        return model

    whole, again, checkpoints = halved(), halved(), Checkpoints(tmp_path / "parts")
    fit(plan(whole), Checkpoints(tmp_path / "whole"), Listener())
    with pytest.raises(JobStoppedError):
        fit(plan(halved(), save_seconds=0), checkpoints, Listener(STEPS + 1))
    fit(plan(again), checkpoints, Listener())
    scales = [float(model.optimizer.dynamic_scale) for model in (whole, again)]
    assert scales[0] == scales[1] != 2**15
    assert equal(again.get_weights(), whole.get_weights())


def values(variables: list[Any]) -> list[Any]:
    return [np.asarray(variable) for variable in variables]


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    first, second, listener = line(), line(), Listener()
    history = fit(plan(first), Checkpoints(tmp_path), Listener())
    assert fit(plan(second), Checkpoints(tmp_path), listener) == history
    assert not listener.losses
    assert equal(first.get_weights(), second.get_weights())


def test_a_checkpoint_of_another_training_is_not_gone_on_from(tmp_path: Path) -> None:
    fit(plan(line()), Checkpoints(tmp_path), Listener())
    listener = Listener()
    fit(plan(line(), identity="another"), Checkpoints(tmp_path), listener)
    assert len(listener.losses) == 3 * STEPS


def test_checkpoints_of_another_training_do_not_outlive_new_ones(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    fit(plan(line(), identity="another"), checkpoints, Listener())
    with pytest.raises(JobStoppedError):
        fit(plan(line()), checkpoints, Listener(STEPS + 1))
    listener = Listener()
    fit(plan(line()), checkpoints, listener)
    assert len(listener.losses) == 2 * STEPS


def test_the_best_epoch_is_kept_and_patience_ends_the_training(tmp_path: Path) -> None:
    best = line()
    fit(plan(best, epochs=2), Checkpoints(tmp_path / "two"), Listener())
    model = line()
    validate = ranked(1.0, 5.0, 4.0, 5.0, 9.0)
    history = fit(
        plan(model, epochs=9, validate=validate, patience=2), Checkpoints(tmp_path), Listener()
    )
    assert [record.validation_loss for record in history] == [-1, -5, -4, -5]
    assert equal(model.get_weights(), best.get_weights())


def test_stopped_after_its_best_epoch_it_still_knows_it(tmp_path: Path) -> None:
    best = line()
    fit(plan(best, epochs=1), Checkpoints(tmp_path / "one"), Listener())
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(JobStoppedError):
        fit(plan(line(), validate=ranked(9.0, 1.0)), checkpoints, Listener(2 * STEPS + 1))
    model = line()
    fit(plan(model, validate=ranked(2.0)), checkpoints, Listener())
    assert equal(model.get_weights(), best.get_weights())


def test_the_beginning_stays_where_it_counts_and_no_epoch_was_better(tmp_path: Path) -> None:
    model = line()
    began = model.get_weights()
    changes = {"epochs": 9, "patience": 2, "beginning_counts": True}
    validate = ranked(5.0, 4.0, 5.0)
    history = fit(plan(model, validate=validate, **changes), Checkpoints(tmp_path), Listener())
    assert len(history) == 2
    assert equal(model.get_weights(), began)

    again = line()  # from the checkpoint, without another look at the beginning
    assert fit(plan(again, validate=ranked(), **changes), Checkpoints(tmp_path), Listener())
    assert equal(again.get_weights(), began)


def test_without_validation_the_beginning_counts_nothing(tmp_path: Path) -> None:
    expected, model = line(), line()
    fit(plan(expected), Checkpoints(tmp_path / "as ever"), Listener())
    fit(plan(model, beginning_counts=True), Checkpoints(tmp_path), Listener())
    assert equal(model.get_weights(), expected.get_weights())


def test_a_training_that_ran_away_is_no_result(tmp_path: Path) -> None:
    def nowhere(steps: range) -> Iterator[tuple[Any, Any]]:
        for x, y in batches(steps):
            yield x, y * np.nan

    with pytest.raises(TrainingDataError, match="ran away"):
        fit(plan(line(), batches=nowhere), Checkpoints(tmp_path), Listener())


def test_weights_that_are_no_numbers_are_no_result(tmp_path: Path) -> None:
    def last_one_missing(steps: range) -> Iterator[tuple[Any, Any]]:
        for step, (x, y) in zip(steps, batches(steps), strict=True):
            yield x, y * np.nan if step == STEPS - 1 else y

    with pytest.raises(TrainingDataError, match="ran away"):
        fit(plan(line(), batches=last_one_missing), Checkpoints(tmp_path), Listener())
    assert Checkpoints(tmp_path).latest() is None


def test_a_validation_that_is_no_number_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="ran away"):
        fit(plan(line(), validate=ranked(np.nan)), Checkpoints(tmp_path), Listener())
