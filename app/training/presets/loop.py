"""The loop of all presets: epochs, validation, checkpoints.

Killed and called again with the same plan, it goes on from the last checkpoint with the batches,
weights and moments that it would have had.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.domain.errors import TrainingDataError
from app.domain.training import Monitor
from app.training.presets.checkpoint import Checkpoint, Checkpoints
from app.training.presets.trained import EpochRecord

SAVE_SECONDS: Final = 300.0
"""Between checkpoints inside an epoch: what a kill costs at most."""


@dataclass(frozen=True, slots=True)
class Validation:
    """How the network does on the validation side.

    Attributes:
        loss: As `EpochRecord` has it.
        accuracy: As `EpochRecord` has it.
        rank: What epochs are compared by; the higher, the better.
    """

    loss: float
    accuracy: float
    rank: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained, and how long.

    Attributes:
        model: Compiled Keras model that `train_on_batch(x, y)` trains, built.
        batches: Gives (x, y) for consecutive steps, counted over all epochs.
        steps: Of an epoch.
        epochs: At most.
        validate: After each epoch, and before the first if the beginning counts; None where the
            validation side has no pairs.
        patience: Epochs without a better one after which training ends; None for no such end.
        identity: Of this training; a checkpoint of another one is not gone on from.
        beginning_counts: Whether the weights before the first step are the best until an epoch
            does better on the validation side.
        save_seconds: Between checkpoints inside an epoch.
    """

    model: Any
    batches: Callable[[range], Iterator[tuple[Any, ...]]]
    steps: int
    epochs: int
    validate: Callable[[], Validation | None]
    identity: str
    patience: int | None = None
    beginning_counts: bool = False
    save_seconds: float = SAVE_SECONDS


@dataclass(slots=True)
class _Standing:
    """Where the training stands.

    Attributes:
        step: Done, over all epochs.
        losses: Sum of the losses of the epoch so far, and how many there were.
        seconds: Spent on the epoch so far.
        best: Weights of the best epoch so far.
        best_epoch: Its number; 0 before the first, and for the weights that it began with.
        best_rank: What it was best by.
        history: Epochs that are done.
    """

    step: int = 0
    losses: tuple[float, int] = (0.0, 0)
    seconds: float = 0.0
    best: list[NDArray[Any]] = field(default_factory=list)
    best_epoch: int = 0
    best_rank: float = -np.inf
    history: list[EpochRecord] = field(default_factory=list)


def fit(plan: Plan, checkpoints: Checkpoints, monitor: Monitor) -> tuple[EpochRecord, ...]:
    """Train `plan.model`, which ends with the weights of its best epoch, or those it began with.

    Without a validation side the last epoch is the best.

    Args:
        plan: What is trained.
        checkpoints: Gone on from, and written after every epoch and every few minutes.
        monitor: Told about every step.

    Returns:
        Every epoch.

    Raises:
        TrainingDataError: If a whole epoch's loss, or a weight after it, is no number.
        JobStoppedError: If the monitor asks for it.
    """
    plan.model.optimizer.build(plan.model.trainable_variables)
    standing = _resumed(plan, checkpoints)
    if standing is None:
        checkpoints.clear()
        standing = _begun(plan)
    while len(standing.history) < plan.epochs and not _has_ended(plan, standing):
        _train_epoch(plan, standing, checkpoints, monitor)
        _finish_epoch(plan, standing)
        _save(plan, standing, checkpoints)
    plan.model.set_weights(standing.best)
    return tuple(standing.history)


def _begun(plan: Plan) -> _Standing:
    standing = _Standing()
    if plan.beginning_counts and (found := plan.validate()):
        standing.best, standing.best_rank = plan.model.get_weights(), found.rank
    return standing


def _has_ended(plan: Plan, standing: _Standing) -> bool:
    waited = len(standing.history) - standing.best_epoch
    return plan.patience is not None and bool(standing.history) and waited >= plan.patience


def _train_epoch(
    plan: Plan, standing: _Standing, checkpoints: Checkpoints, monitor: Monitor
) -> None:
    """The steps that are left of the epoch."""
    epoch = len(standing.history) + 1
    started = saved = perf_counter()
    before = standing.seconds
    for x, y in plan.batches(range(standing.step, epoch * plan.steps)):
        loss = _train_step(plan.model, x, y)
        if np.isfinite(loss):  # in half precision a step may overflow, and is then left out
            standing.losses = (standing.losses[0] + loss, standing.losses[1] + 1)
        standing.step += 1
        now = perf_counter()
        standing.seconds = before + now - started
        if now - saved >= plan.save_seconds and standing.step < epoch * plan.steps:
            _save(plan, standing, checkpoints)
            saved = now
        monitor.progress(
            standing.step,
            plan.epochs * plan.steps,
            what="training",
            epoch=epoch,
            loss=loss if np.isfinite(loss) else None,
        )


def _train_step(model: Any, x: Any, y: Any) -> float:
    model.reset_metrics()  # Keras would give the mean over all steps so far
    return float(model.train_on_batch(x, y))


def _finish_epoch(plan: Plan, standing: _Standing) -> None:
    epoch = len(standing.history) + 1
    total, count = standing.losses
    if not count or not _is_sound(plan.model):
        raise _ran_away(epoch)
    started = perf_counter()
    found = plan.validate()
    if found and not np.isfinite(found.loss):
        raise _ran_away(epoch)
    standing.history.append(
        EpochRecord(
            epoch=epoch,
            loss=total / count,
            validation_loss=found.loss if found else None,
            validation_accuracy=found.accuracy if found else None,
            learning_rate=float(plan.model.optimizer.learning_rate),
            seconds=standing.seconds + perf_counter() - started,
        )
    )
    if found is None or not standing.best or found.rank > standing.best_rank:
        standing.best = plan.model.get_weights()
        standing.best_epoch = epoch
        standing.best_rank = found.rank if found else standing.best_rank
    standing.losses, standing.seconds = (0.0, 0), 0.0


def _is_sound(model: Any) -> bool:
    return all(np.isfinite(np.asarray(weight)).all() for weight in model.weights)


def _ran_away(epoch: int) -> TrainingDataError:
    return TrainingDataError(
        f"The training ran away: after epoch {epoch} the network gives no numbers any more."
    )


def _save(plan: Plan, standing: _Standing, checkpoints: Checkpoints) -> None:
    parts = {
        "model": plan.model.weights,
        "optimizer": plan.model.optimizer.variables,
        "best": standing.best,
    }
    arrays = {
        f"{part}/{number}": value
        for part, values in parts.items()
        for number, value in enumerate(values)
    }
    rank = standing.best_rank
    state = {
        "identity": plan.identity,
        "losses": standing.losses,
        "seconds": standing.seconds,
        "best_epoch": standing.best_epoch,
        "best_rank": rank if np.isfinite(rank) else None,
        "history": [asdict(record) for record in standing.history],
    }
    checkpoints.save(standing.step, arrays, state)


def _resumed(plan: Plan, checkpoints: Checkpoints) -> _Standing | None:
    """As the last checkpoint of this training has it, and the model with its weights."""
    found = checkpoints.latest()
    if found is None or found.state.get("identity") != plan.identity:
        return None
    if len(found.state["history"]) > plan.epochs:  # the best of them may have come later
        return None
    _assign(plan.model.weights, _part(found, "model"))
    _assign(plan.model.optimizer.variables, _part(found, "optimizer"))
    state = found.state
    return _Standing(
        step=found.step,
        losses=(float(state["losses"][0]), int(state["losses"][1])),
        seconds=float(state["seconds"]),
        best=_part(found, "best"),
        best_epoch=int(state["best_epoch"]),
        best_rank=-np.inf if state["best_rank"] is None else float(state["best_rank"]),
        history=[EpochRecord(**record) for record in state["history"]],
    )


def _part(found: Checkpoint, part: str) -> list[NDArray[Any]]:
    names = [name for name in found.arrays if name.startswith(f"{part}/")]
    return [found.arrays[f"{part}/{number}"] for number in range(len(names))]


def _assign(variables: Sequence[Any], values: Sequence[NDArray[Any]]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
