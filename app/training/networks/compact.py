"""A small modern embedding network."""

from typing import Any, Final

COMPACT_INPUT: Final = 112
COMPACT_DIMENSION: Final = 128

COMPACT_STAGES: Final = (
    (64, 5, 2, 2),
    (128, 1, 4, 2),
    (128, 6, 2, 1),
    (128, 1, 4, 2),
    (128, 2, 2, 1),
)
"""(channels, blocks, expansion, stride of the first block) of each stage."""


def compact_network() -> Any:
    """MobileFaceNet: (n, 112, 112, 3) RGB in -1..1 to (n, 128), not unit length.

    About a million parameters. Inverted residual blocks on depthwise convolutions, and in place of
    an average over the last map a weighted sum, because the corners of an aligned face matter less
    than its middle (Chen et al., "MobileFaceNets: Efficient CNNs for accurate real-time face
    verification on mobile devices", 2018).
    """
    import keras

    layers = keras.layers
    image = keras.Input((COMPACT_INPUT, COMPACT_INPUT, 3), name="image")
    x = _normalized(layers.Conv2D(64, 3, 2, padding="same", use_bias=False, name="stem")(image))
    x = _depthwise(x, 1, "stem_depthwise")  # 56 x 56
    for stage, (channels, blocks, expansion, stride) in enumerate(COMPACT_STAGES):
        for block in range(blocks):
            name = f"stage{stage}_block{block}"
            x = _inverted_residual(x, channels, expansion, stride if block == 0 else 1, name)
    x = _normalized(layers.Conv2D(512, 1, use_bias=False, name="wide")(x))  # 7 x 7
    x = layers.DepthwiseConv2D(x.shape[1], use_bias=False, name="weighted_sum")(x)
    x = layers.BatchNormalization(name="weighted_sum_norm")(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(COMPACT_DIMENSION, use_bias=False, name="projection")(x)
    embedding = layers.BatchNormalization(name="embedding", dtype="float32")(x)
    return keras.Model(image, embedding, name="compact")


def _inverted_residual(x: Any, channels: int, expansion: int, stride: int, name: str) -> Any:
    """1x1 to many channels, 3x3 in each of them, 1x1 to few, without a non-linearity at the end.

    Sandler et al., "MobileNetV2: Inverted residuals and linear bottlenecks", 2018. The shortcut is
    taken where the shapes agree.
    """
    import keras

    layers = keras.layers
    wide = expansion * x.shape[-1]
    y = _normalized(layers.Conv2D(wide, 1, use_bias=False, name=f"{name}_expand")(x))
    y = _depthwise(y, stride, f"{name}_depthwise")
    y = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_project")(y)
    y = layers.BatchNormalization(name=f"{name}_project_norm")(y)
    return layers.Add(name=f"{name}_add")([x, y]) if y.shape == x.shape else y


def _depthwise(x: Any, stride: int, name: str) -> Any:
    import keras

    convolution = keras.layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False, name=name)
    return _normalized(convolution(x))


def _normalized(x: Any) -> Any:
    """Batch normalisation, and a PReLU with one slope a channel."""
    import keras

    x = keras.layers.BatchNormalization()(x)
    slope = keras.initializers.Constant(0.25)
    return keras.layers.PReLU(alpha_initializer=slope, shared_axes=[1, 2])(x)
