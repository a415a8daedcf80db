"""The Siamese network around an embedding: twins that share weights, and the L1 head."""

from typing import Any, Final

START_BIAS: Final = 3.0
"""Logit of two equal embeddings before training. No pair can score higher, and Adam at the
tutorial's rate moves it by no more than a third in 50 epochs: from 0, nobody would ever match."""


def siamese(embedding: Any) -> Any:
    """A network from two images to the logit that they show one person.

    The logit is `bias - weights . |a - b|`, its sigmoid the tutorial's answer. Its head is a dense
    layer on the negated distance, whose weights are kept from falling below zero while it trains:
    the service's score can't rise when two embeddings move apart (`domain.scoring.L1Head`). They
    begin at the absolute values of Keras' usual draw, and the bias at `START_BIAS`.

    Args:
        embedding: Network from images (n, h, w, 3) to embeddings (n, d).

    Returns:
        A network from [(n, h, w, 3), (n, h, w, 3)] to logits (n, 1), float32. Its layer "head" has
        d + 1 parameters, the rest are the embedding's.
    """
    import keras
    from keras import ops

    class NonNegativeDraw(keras.initializers.GlorotUniform):  # type: ignore[misc]
        def __call__(self, shape: Any, dtype: Any = None) -> Any:
            return ops.abs(super().__call__(shape, dtype))

    first = keras.Input(embedding.input.shape[1:], name="first")
    second = keras.Input(embedding.input.shape[1:], name="second")
    both = embedding(ops.concatenate([first, second]))  # in one pass: a tenth less of a step
    left, right = ops.split(ops.cast(both, "float32"), 2)
    distance = ops.abs(left - right)
    head = keras.layers.Dense(
        1,
        kernel_initializer=NonNegativeDraw(),
        bias_initializer=keras.initializers.Constant(START_BIAS),
        kernel_constraint=keras.constraints.NonNeg(),
        dtype="float32",
        name="head",
    )
    return keras.Model([first, second], head(-distance), name=f"siamese_{embedding.name}")
