"""What the preset `finetune` sees in a step, and what its epochs are compared by."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from app.training.presets.batches import Arrays, tf_batches
from app.training.presets.finetune_config import FinetuneConfig
from app.training.presets.finetune_photos import SeenPhotos
from app.training.presets.loop import Validation


class ViewBatches:
    """Views of the owner's photos and of strangers', in batches.

    Args:
        seen: Photos to train on.
        config: How many of each; its seed decides which.
    """

    def __init__(self, seen: SeenPhotos, config: FinetuneConfig) -> None:
        self._seen, self._config = seen, config

    def make(self, step: int) -> Arrays:
        """Batch `step`, counted over all epochs.

        Returns:
            What the frozen layers give for one view of each photo, shape (n, ...), and the number
            of the photo, shape (n,); the owner's first.
        """
        seen, config = self._seen, self._config
        random = np.random.default_rng([config.seed, step])
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

    def prepared(self, steps: range, threads: int) -> Iterator[tuple[Any, ...]]:
        """Batches as Keras trains on them."""
        return tf_batches(self.make, steps, threads=threads)


def validate(twin: Any, valid: SeenPhotos) -> Validation:
    """How badly the owner is parted, over all views; share of the owner's pairs decided right.

    How far strangers moved is left out: the base has not moved them, so counted in it would win
    against every training. That they don't suffer is what the pull is for, and the gate tests it.

    Args:
        twin: From `finetuning_twin`.
        valid: Photos of the validation side.
    """
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
    loss = float(np.mean(losses))
    return Validation(loss, float(np.mean(right)), rank=-loss)
