"""The network while it is adapted: a Keras model whose loss looks at a bank of all photos."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats
from app.training.adaptation.objective import contrast, distillation


def adapting_twin(
    network: Any,
    targets: Floats,
    identities: NDArray[np.intp],
    *,
    distillation_weight: float,
    scale: float,
    momentum: float,
) -> Any:
    """A Keras model that is fitted to the row numbers of photos.

    The bank begins with the teacher's embeddings, and every step moves the rows it saw towards the
    network's own.

    Args:
        network: Embeds a batch, shape (n, d), of any length.
        targets: The teacher's embedding of each photo, unit length, shape (photos, d).
        identities: Shape (photos,).
        distillation_weight: Of the distance to the teacher, beside the contrast's 1.
        scale: Of the contrast.
        momentum: What a bank row keeps of itself in a step.
    """
    import keras
    from keras import ops

    class AdaptingTwin(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="adapting_twin")
            self.network = network
            self.bank = self._constant("bank", targets)
            self.targets = self._constant("targets", targets)
            self.identities = self._constant("identities", identities.astype(np.int32))

        def _constant(self, name: str, values: NDArray[Any]) -> Any:
            return self.add_weight(
                name=name,
                shape=values.shape,
                dtype=str(values.dtype),
                initializer=lambda *_args, **_kwargs: ops.convert_to_tensor(values),
                trainable=False,
            )

        def call(self, batch: Any, training: bool = False) -> Any:
            embeddings = self.network(batch, training=training)
            return ops.normalize(embeddings, axis=-1)

        def compute_loss(self, x: Any, y: Any, y_pred: Any, *_: Any, **__: Any) -> Any:  # noqa: ARG002
            rows = ops.cast(ops.reshape(y, (-1,)), "int32")
            mine = ops.take(self.identities, rows)
            same = ops.equal(mine[:, None], ops.convert_to_tensor(self.identities)[None])
            itself = ops.equal(rows[:, None], ops.arange(len(targets), dtype="int32")[None])
            bank = ops.convert_to_tensor(self.bank)
            loss = contrast(ops.matmul(y_pred, ops.transpose(bank)), same, itself, scale)
            near = distillation(y_pred, ops.take(self.targets, rows, axis=0))
            moved = momentum * ops.take(bank, rows, axis=0) + (1 - momentum) * y_pred
            moved = ops.stop_gradient(ops.normalize(moved, axis=-1))
            self.bank.assign(ops.scatter_update(bank, rows[:, None], moved))
            return distillation_weight * near + loss

    return AdaptingTwin()
