"""dlib's ResNet-29, from which the default bundle starts."""

from typing import Any, Final

from app.domain.errors import BundleError
from app.training.dlib_weights import ResNetWeights

RESNET29_INPUT: Final = 150
RESNET29_MEAN: Final = (122.782, 117.001, 104.298)
RESNET29_SCALE: Final = 1 / 256
RESNET29_STAGES: Final = (
    (32, 3, False),
    (64, 4, True),
    (128, 3, True),
    (256, 3, True),
    (256, 1, True),
)
"""(channels, residual blocks, whether the first block halves the resolution) of each stage."""


def resnet29() -> Any:
    """The published ResNet-29: (n, 150, 150, 3) preprocessed RGB to (n, 128), not unit length.

    Preprocessing is `(pixels - RESNET29_MEAN) * RESNET29_SCALE`. Batch normalisation is folded
    into the convolutions, as the published weights allow.
    """
    import keras

    layers = keras.layers
    image = keras.Input((RESNET29_INPUT, RESNET29_INPUT, 3), name="image")
    x = layers.Conv2D(32, 7, strides=2, activation="relu", name="stem")(image)
    x = layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)
    for stage, (channels, blocks, halves) in enumerate(RESNET29_STAGES):
        for block in range(blocks):
            x = _residual(x, channels, f"stage{stage}_block{block}", down=halves and block == 0)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    embedding = layers.Dense(128, use_bias=False, name="embedding")(x)
    return keras.Model(image, embedding, name="resnet29")


def _residual(x: Any, channels: int, name: str, *, down: bool) -> Any:
    """Two 3x3 convolutions around a shortcut; `down` halves with an unpadded first convolution."""
    import keras

    layers = keras.layers
    y = layers.Conv2D(
        channels,
        3,
        strides=2 if down else 1,
        padding="valid" if down else "same",
        activation="relu",
        name=f"{name}_conv1",
    )(x)
    y = layers.Conv2D(channels, 3, padding="same", name=f"{name}_conv2")(y)
    shortcut = layers.AveragePooling2D(2, strides=2, name=f"{name}_shortcut")(x) if down else x
    y, shortcut = _zero_pad_alike(y, shortcut)
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([y, shortcut]))


def _zero_pad_alike(a: Any, b: Any) -> tuple[Any, Any]:
    """Zero-pad at the end of rows, columns and channels until both shapes agree."""
    from keras import ops

    padded = []
    for tensor, other in ((a, b), (b, a)):
        missing = [max(0, o - t) for t, o in zip(tensor.shape[1:], other.shape[1:], strict=True)]
        padding = [(0, 0), *((0, m) for m in missing)]
        padded.append(ops.pad(tensor, padding) if any(missing) else tensor)
    return padded[0], padded[1]


def load_resnet29(weights: ResNetWeights) -> Any:
    """`resnet29` with the published weights.

    Raises:
        BundleError: If a layer and its weights differ in shape.
    """
    import keras

    model = resnet29()
    convolutions = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    for layer, source in zip(convolutions, weights.convolutions, strict=True):
        if tuple(layer.kernel.shape) != source.kernel.shape or layer.strides[0] != source.stride:
            raise BundleError(f"The weights do not fit the layer {layer.name}.")
        layer.set_weights([source.kernel, source.bias])
    model.get_layer("embedding").set_weights([weights.projection])
    return model


def with_second_end(network: Any, border: str, end: Any, weight: float) -> Any:
    """A network whose embedding is the sum of two ends, each scaled to unit length.

    Args:
        network: From images to embeddings (n, d); gives the early layers and the first end.
        border: The layer behind which the ends differ.
        end: The second end, from the border's output to (n, d).
        weight: Of the second end; the first has 1.
    """
    import keras

    layers = keras.layers
    end.name = "second_end"
    first = layers.UnitNormalization(name="first_unit")(network.output)
    second = layers.UnitNormalization(name="second_unit")(end(network.get_layer(border).output))
    weighted = layers.Rescaling(weight, name="second_weighted")(second)
    total = layers.Add(name="both_ends")([first, weighted])
    return keras.Model(network.input, total, name=f"{network.name}_two_ends")
