"""The network while it is finetuned: a Siamese Keras model over frozen features."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats
from app.domain.scoring import L1Head
from app.training.adaptation.objective import contrast
from app.training.presets.finetune_config import FinetuneConfig
from app.training.presets.finetune_network import PartedNetwork, copy_of


def pair_loss(logits: Any, same: Any, counted: Any) -> Any:
    """Binary cross-entropy of pairs; pairs of one person weigh as much as all others, shape ().

    Args:
        logits: Of the Siamese head, shape (n, m).
        same: Whether a pair shows one person, shape (n, m).
        counted: Whether it counts; a photo is no pair with itself.
    """
    from keras import ops

    def mean(losses: Any, which: Any) -> Any:
        chosen = ops.cast(ops.logical_and(which, counted), losses.dtype)
        return ops.sum(losses * chosen) / ops.maximum(ops.sum(chosen), 1)

    genuine, impostor = ops.softplus(-logits), ops.softplus(logits)
    return (mean(genuine, same) + mean(impostor, ops.logical_not(same))) / 2


def finetuning_twin(
    network: PartedNetwork, head: L1Head, bank: Floats, people: NDArray[np.intp], c: FinetuneConfig
) -> Any:
    """A Keras model that is fitted to the row numbers of photos, the owner's first.

    The bank begins with the base's embeddings, and every step moves the rows it saw.

    Args:
        network: Its second end is trained; the rest stays.
        head: To start from, with a weight for each number of an embedding.
        bank: The base's embedding of each photo, unit length, shape (photos, d).
        people: Number of each photo's person, shape (photos,).
        c: Hyper-parameters.
    """
    import keras
    from keras import ops

    class FinetuningTwin(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="finetuning_twin")
            self.second = copy_of(network.second)
            self.first, self.base = copy_of(network.first), copy_of(network.second)
            self.first.trainable = self.base.trainable = False
            self.bank = self._variable("bank", bank, trainable=False)
            self.people = self._variable("people", people.astype(np.int32), trainable=False)
            self.slopes = self._variable("slopes", head.weights, keras.constraints.NonNeg())
            self.bias = self._variable("bias", np.float32(head.bias))

        def _variable(
            self, name: str, values: Any, constraint: Any = None, *, trainable: bool = True
        ) -> Any:
            values = np.asarray(values)
            return self.add_weight(
                name=name,
                shape=values.shape,
                dtype=str(values.dtype),
                initializer=lambda *_args, **_kwargs: ops.convert_to_tensor(values),
                constraint=constraint,
                trainable=trainable,
            )

        def call(self, features: Any, training: bool = False) -> Any:
            """Embeddings as they are now, and as the base gives them, unit length."""
            first = ops.normalize(self.first(features), axis=-1)

            def total(end: Any) -> Any:
                return ops.normalize(first + network.weight * ops.normalize(end, axis=-1), axis=-1)

            return total(self.second(features, training=training)), total(self.base(features))

        def logits(self, some: Any, others: Any) -> Any:
            """Of the Siamese head, (n, d) against (m, d) gives (n, m)."""
            apart = ops.abs(some[:, None] - others[None])
            return self.bias - ops.matmul(apart, self.slopes)

        def parting(self, now: Any, rows: Any, people: Any, against: Any) -> Any:
            """How badly a batch parts the owner from strangers: what training is for.

            Args:
                now: Embeddings, the owner's first, shape (n, d).
                rows: Numbers of the photos, shape (n,).
                people: Of the photos, shape (n,); the owner is 0.
                against: Embeddings, rows and people of a bank to part the owner from.
            """
            own = ops.equal(people, 0)
            alike = ops.equal(people[:, None], people[None])
            other_photo = ops.not_equal(rows[:, None], rows[None])
            counted = ops.logical_and(own[:, None], other_photo)
            pairs = pair_loss(self.logits(now, now), alike, counted)
            stored, stored_rows, stored_people = against
            share = ops.cast(own, now.dtype)
            parted = contrast(
                ops.matmul(now, ops.transpose(stored)),
                ops.logical_and(ops.equal(people[:, None], stored_people[None]), own[:, None]),
                ops.equal(rows[:, None], stored_rows[None]),
                c.scale,
            )
            parted = parted / ops.maximum(ops.mean(share), 1e-6)  # strangers have no loss in it
            return pairs + c.contrast_weight * parted

        def moving(self, now: Any, base: Any, people: Any) -> Any:
            """How far strangers have moved from where the base puts them: what it may not cost."""
            strangers = ops.cast(ops.not_equal(people, 0), now.dtype)
            moved = ops.sum(ops.sum(ops.square(now - base), axis=-1) * strangers)
            return moved / ops.maximum(ops.sum(strangers), 1)

        def compute_loss(self, x: Any, y: Any, y_pred: Any, *_: Any, **__: Any) -> Any:  # noqa: ARG002
            now, base = y_pred
            rows = ops.cast(ops.reshape(y, (-1,)), "int32")
            people = ops.take(self.people, rows)
            stored = ops.convert_to_tensor(self.bank)
            every = ops.arange(len(bank), dtype="int32")
            against = (stored, every, ops.convert_to_tensor(self.people))
            loss = self.parting(now, rows, people, against)
            loss = loss + c.distillation_weight * self.moving(now, base, people)
            moved = c.momentum * ops.take(stored, rows, axis=0) + (1 - c.momentum) * now
            moved = ops.stop_gradient(ops.normalize(moved, axis=-1))
            self.bank.assign(ops.scatter_update(stored, rows[:, None], moved))
            return loss

    return FinetuningTwin()
