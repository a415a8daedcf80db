"""The seed tutorial's network."""

from typing import Any, Final

from app.domain.training import Pooling

SEED_INPUT: Final = 100
SEED_SCALE: Final = 1 / 255
SEED_DIMENSION: Final = 4096

_WINDOWS: Final = {Pooling.PUBLISHED: 64, Pooling.SMALL: 2}


def seed_network(pooling: Pooling = Pooling.PUBLISHED) -> Any:
    """The tutorial's embedding: (n, 100, 100, 3) RGB in 0..1 to (n, 4096) in 0..1.

    Layers, sizes and initial weights are those of "Siamese neural networks for one-shot image
    recognition" (Koch, Zemel and Salakhutdinov, 2015) as the tutorial has them: 38,960,448
    parameters. Its max-pooling takes 64 x 64 windows at stride 2, surely a slip for 2 x 2: it
    leaves of a map little more than its maximum. `Pooling.SMALL` is what it meant; the number of
    parameters does not depend on it.

    Args:
        pooling: Windows of the max-pooling.
    """
    import keras

    layers = keras.layers
    window = _WINDOWS[pooling]
    image = keras.Input((SEED_INPUT, SEED_INPUT, 3), name="image")
    x = layers.Conv2D(64, 10, activation="relu", name="conv1")(image)
    x = _halved(x, window, "pool1")
    x = layers.Conv2D(128, 7, activation="relu", name="conv2")(x)
    x = _halved(x, window, "pool2")
    x = layers.Conv2D(128, 4, activation="relu", name="conv3")(x)
    x = _halved(x, window, "pool3")
    x = layers.Conv2D(256, 4, activation="relu", name="conv4")(x)
    x = layers.Flatten(name="flat")(x)
    embedding = layers.Dense(
        SEED_DIMENSION,
        activation="sigmoid",
        dtype="float32",  # in half precision, embeddings of alike photos would be equal
        name="embedding",
    )(x)
    return keras.Model(image, embedding, name="seed")


def _halved(x: Any, window: int, name: str) -> Any:
    """Max-pooling over `window` x `window` at stride 2, padded to half the size.

    The maximum of a window is the maximum over its columns' maxima, so pooling along one axis,
    then along the other, gives the same numbers and takes a third less of a training step.
    """
    import keras

    layers = keras.layers
    x = layers.MaxPooling2D((window, 1), (2, 1), padding="same", name=f"{name}_rows")(x)
    return layers.MaxPooling2D((1, window), (1, 2), padding="same", name=f"{name}_columns")(x)
