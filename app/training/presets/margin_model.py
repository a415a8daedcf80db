"""The network of the preset `compact` while it trains: a class for each person, with a margin."""

from enum import StrEnum
from typing import Any, Final

from app.training.presets import losses

MEMORY: Final = 0.99
"""What the mean and the deviation of lengths keep of themselves in a step, as AdaFace has it."""

_FIRST_MEAN: Final = 20.0
_FIRST_DEVIATION: Final = 100.0
"""As AdaFace has them: the deviation is so large that all photos count alike at first."""


class Margin(StrEnum):
    """What the own class is handicapped by."""

    ARCFACE = "arcface"
    ADAFACE = "adaface"


def margin_model(network: Any, classes: int, margin: Margin) -> Any:
    """A Keras model that is fitted to the numbers of people.

    Args:
        network: From crops to embeddings (n, d), of any length.
        classes: People.
        margin: Which one.

    Returns:
        A model whose attribute `network` is the network, built.
    """
    import keras
    from keras import ops

    dimension = network.output.shape[-1]

    class MarginModel(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="margin")
            self.network = network
            self.classes = self.add_weight(
                name="classes", shape=(dimension, classes), initializer="glorot_normal"
            )
            self.mean = self._constant("mean", _FIRST_MEAN)
            self.deviation = self._constant("deviation", _FIRST_DEVIATION)
            self.built = True

        def _constant(self, name: str, value: float) -> Any:
            initializer = keras.initializers.Constant(value)
            return self.add_weight(name=name, shape=(), initializer=initializer, trainable=False)

        def call(self, batch: Any, training: bool = False) -> Any:
            return ops.cast(self.network(batch, training=training), "float32")

        def compute_loss(self, x: Any, y: Any, y_pred: Any, *_: Any, **__: Any) -> Any:  # noqa: ARG002
            people = ops.cast(ops.reshape(y, (-1,)), "int32")
            cosines = ops.matmul(
                ops.normalize(y_pred, axis=-1), ops.normalize(self.classes, axis=0)
            )
            if margin is Margin.ARCFACE:
                logits = losses.arcface_logits(cosines, people)
            else:
                logits = losses.adaface_logits(cosines, people, self._quality(y_pred))
            return losses.class_cross_entropy(logits, people)

        def _quality(self, embeddings: Any) -> Any:
            """Of each photo, by its length against those of the last hundred batches."""
            # The square root has no slope at zero, but nothing is trained by the length.
            lengths = ops.stop_gradient(ops.norm(embeddings, axis=-1))
            self.mean.assign(MEMORY * self.mean + (1 - MEMORY) * ops.mean(lengths))
            self.deviation.assign(MEMORY * self.deviation + (1 - MEMORY) * ops.std(lengths))
            return losses.relative_quality(lengths, self.mean, self.deviation)

    return MarginModel()
