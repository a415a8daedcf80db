"""The loop of the preset `finetune`: epochs, validation, early stopping, checkpoints."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats
from app.domain.training import Monitor
from app.training.presets.checkpoint import Checkpoint, Checkpoints
from app.training.presets.finetune_config import FinetuneConfig
from app.training.presets.finetune_photos import SeenPhotos
from app.training.presets.trained import EpochRecord

Arrays = list[NDArray[Any]]


def batch(
    seen: SeenPhotos, config: FinetuneConfig, seed: int, step: int
) -> tuple[Floats, NDArray[np.intp]]:
    """Features of one view each, and the rows; the owner's first. The same for the same step."""
    random = np.random.default_rng([seed, step])
    strangers = len(seen.people) - seen.owners
    own = random.choice(
        seen.owners, config.owners_in_batch, replace=seen.owners < config.owners_in_batch
    )
    others = seen.owners + random.choice(
        strangers, config.strangers_in_batch, replace=strangers < config.strangers_in_batch
    )
    rows = np.concatenate([own, others]).astype(np.intp)
    views = random.integers(len(seen.features), size=len(rows))
    return seen.features[views, rows].astype(np.float32), rows


@dataclass(slots=True)
class Progress:
    """Where the training stands, after each epoch.

    Attributes:
        epoch: Epochs done.
        best: Weights with the least validation loss so far; the base's before any gain.
        best_loss: That loss; infinite without validation.
        best_epoch: Epoch after which they were found; 0 for the base's.
        history: Every epoch.
    """

    epoch: int
    best: Arrays
    best_loss: float
    best_epoch: int = 0
    history: list[EpochRecord] = field(default_factory=list)


def fit(
    twin: Any,
    seen: SeenPhotos,
    valid: SeenPhotos | None,
    config: FinetuneConfig,
    *,
    epochs: int,
    identity: str,
    checkpoints: Checkpoints,
    monitor: Monitor,
) -> tuple[EpochRecord, ...]:
    """Train `twin`, which ends with its best weights: the base's own where nothing was better.

    Args:
        twin: From `finetuning_twin`, compiled.
        seen: Photos to train on.
        valid: Photos to stop by; None trains all epochs.
        config: Hyper-parameters.
        epochs: At most.
        identity: Of this training; a checkpoint of another one is not gone on from.
        checkpoints: Written after every epoch; the last one is gone on from.
        monitor: Told about every step.

    Returns:
        Every epoch.
    """
    twin(np.asarray(seen.features[0, :1], np.float32))
    twin.optimizer.build(twin.trainable_variables)
    progress = _resumed(twin, checkpoints, identity)
    if progress is None:
        base = _validation(twin, valid)
        weights = _values(twin.trainable_variables)
        progress = Progress(0, weights, base[0] if base else np.inf)
    patience = config.patience if valid else epochs
    while progress.epoch < epochs and progress.epoch - progress.best_epoch < patience:
        _one_epoch(twin, seen, config, progress, epochs=epochs, monitor=monitor)
        _validate(twin, valid, progress)
        _save(twin, progress, checkpoints, identity)
    if valid:
        _assign(twin.trainable_variables, progress.best)
    return tuple(progress.history)


def _one_epoch(
    twin: Any,
    seen: SeenPhotos,
    config: FinetuneConfig,
    progress: Progress,
    *,
    epochs: int,
    monitor: Monitor,
) -> None:
    started, losses = perf_counter(), []
    for step in range(progress.epoch * config.steps, (progress.epoch + 1) * config.steps):
        loss = float(twin.train_on_batch(*batch(seen, config, config.seed, step)))
        losses.append(loss)
        monitor.progress(
            step + 1, epochs * config.steps, what="training", epoch=progress.epoch + 1, loss=loss
        )
    progress.epoch += 1
    progress.history.append(
        EpochRecord(
            epoch=progress.epoch,
            loss=float(np.mean(losses)),
            validation_loss=None,
            validation_accuracy=None,
            learning_rate=float(twin.optimizer.learning_rate),
            seconds=perf_counter() - started,
        )
    )


def _validate(twin: Any, valid: SeenPhotos | None, progress: Progress) -> None:
    started = perf_counter()
    found = _validation(twin, valid)
    if found is None:
        return
    record = progress.history[-1]
    progress.history[-1] = replace(
        record,
        validation_loss=found[0],
        validation_accuracy=found[1],
        seconds=record.seconds + perf_counter() - started,
    )
    if found[0] < progress.best_loss:
        progress.best, progress.best_loss = _values(twin.trainable_variables), found[0]
        progress.best_epoch = progress.epoch


def _validation(twin: Any, valid: SeenPhotos | None) -> tuple[float, float] | None:
    """How badly the owner is parted, over all views; share of the owner's pairs decided right.

    How far strangers moved is left out: the base has not moved them, so counted in it would win
    against every training. That they don't suffer is what the pull is for, and the gate tests it.
    """
    if valid is None:
        return None
    from keras import ops

    rows = ops.arange(len(valid.people), dtype="int32")
    people = ops.convert_to_tensor(valid.people.astype(np.int32))
    stored = twin(valid.features[-1].astype(np.float32))[0]
    losses, right = [], []
    for view in valid.features:
        now, _ = twin(view.astype(np.float32))
        losses.append(float(twin.parting(now, rows, people, (stored, rows, people))))
        logits = np.asarray(twin.logits(now[: valid.owners], stored))
        same = np.broadcast_to(valid.people[None] == 0, logits.shape)
        apart = np.arange(len(logits))[:, None] != np.arange(logits.shape[1])[None]
        hits = (logits > 0) == same
        right.append((hits[same & apart].mean() + hits[~same].mean()) / 2)
    return float(np.mean(losses)), float(np.mean(right))


def _save(twin: Any, progress: Progress, checkpoints: Checkpoints, identity: str) -> None:
    arrays = {"bank": twin.bank.numpy()}
    for name, values in (
        ("weight", _values(twin.trainable_variables)),
        ("optimizer", _values(twin.optimizer.variables)),
        ("best", progress.best),
    ):
        arrays |= {f"{name}_{number}": value for number, value in enumerate(values)}
    state = {
        "identity": identity,
        "best_loss": progress.best_loss if np.isfinite(progress.best_loss) else None,
        "best_epoch": progress.best_epoch,
        "history": [asdict(record) for record in progress.history],
    }
    checkpoints.save(progress.epoch, arrays, state)


def _resumed(twin: Any, checkpoints: Checkpoints, identity: str) -> Progress | None:
    found = checkpoints.latest()
    if found is None or found.state.get("identity") != identity:
        return None
    twin.bank.assign(found.arrays["bank"])
    _assign(twin.trainable_variables, _listed(found, "weight"))
    _assign(twin.optimizer.variables, _listed(found, "optimizer"))
    loss = found.state["best_loss"]
    return Progress(
        found.step,
        _listed(found, "best"),
        np.inf if loss is None else float(loss),
        found.state["best_epoch"],
        [EpochRecord(**record) for record in found.state["history"]],
    )


def _listed(found: Checkpoint, prefix: str) -> Arrays:
    count = sum(name.startswith(f"{prefix}_") for name in found.arrays)
    return [found.arrays[f"{prefix}_{number}"] for number in range(count)]


def _values(variables: Sequence[Any]) -> Arrays:
    return [variable.numpy().copy() for variable in variables]


def _assign(variables: Sequence[Any], values: Arrays) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
