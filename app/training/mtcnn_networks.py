"""The three networks of the MTCNN cascade, with the weights that the package `mtcnn` carries.

Architecture: Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded
Convolutional Networks", 2016. Input is RGB, `(pixels - 127.5) / 128`.
"""

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from app.domain.errors import BundleError

PACKAGE: Final = "mtcnn"
SHA256: Final = {
    "pnet": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}


def read_weights(name: str) -> list[Any]:
    """Arrays of one network (`pnet`, `rnet` or `onet`), kernel before bias before PReLU slopes.

    The package itself is not imported (it would import TensorFlow in its own way); its files are
    pickles, so they are opened only when their sha256 is the published one.

    Raises:
        BundleError: If the package is missing or the file is not the published one.
    """
    import joblib

    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise BundleError(
            f"The package {PACKAGE} is not installed. Run: pip install 'facetwin[default-bundle]'"
        )
    path = Path(spec.origin).parent / "assets" / "weights" / f"{name}.lz4"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256[name]:
        raise BundleError(f"{path.name} is not the published file: its sha256 is {digest}.")
    weights: list[Any] = joblib.load(path)
    return weights


def pnet(weights: Sequence[Any]) -> Any:
    """Proposal network: (1, h, w, 3) to box offsets (1, h', w', 4) and face odds (1, h', w', 2)."""
    import keras

    layers = keras.layers
    image = keras.Input((None, None, 3), batch_size=1, name="image")
    x = _conv(image, 10, 3)
    x = layers.MaxPooling2D(2, strides=2, padding="same")(x)
    x = _conv(_conv(x, 16, 3), 32, 3)
    boxes = layers.Conv2D(4, 1, name="boxes")(x)
    odds = layers.Conv2D(2, 1, activation="softmax", name="odds")(x)
    return _with_weights(keras.Model(image, [boxes, odds], name="pnet"), weights)


def rnet(weights: Sequence[Any]) -> Any:
    """Refinement network: (n, 24, 24, 3) to box offsets (n, 4) and face odds (n, 2)."""
    import keras

    layers = keras.layers
    image = keras.Input((24, 24, 3), name="image")
    x = layers.MaxPooling2D(3, strides=2, padding="same")(_conv(image, 28, 3))
    x = layers.MaxPooling2D(3, strides=2)(_conv(x, 48, 3))
    x = _dense(_conv(x, 64, 2), 128)
    boxes = layers.Dense(4, name="boxes")(x)
    odds = layers.Dense(2, activation="softmax", name="odds")(x)
    return _with_weights(keras.Model(image, [boxes, odds], name="rnet"), weights)


def onet(weights: Sequence[Any]) -> Any:
    """Output network: (n, 48, 48, 3) to box offsets (n, 4), points (n, 10) and face odds (n, 2).

    The points are five x, then five y, in fractions of the input box.
    """
    import keras

    layers = keras.layers
    image = keras.Input((48, 48, 3), name="image")
    x = layers.MaxPooling2D(3, strides=2, padding="same")(_conv(image, 32, 3))
    x = layers.MaxPooling2D(3, strides=2)(_conv(x, 64, 3))
    x = layers.MaxPooling2D(2, strides=2, padding="same")(_conv(x, 64, 3))
    x = _dense(_conv(x, 128, 2), 256)
    boxes = layers.Dense(4, name="boxes")(x)
    points = layers.Dense(10, name="points")(x)
    odds = layers.Dense(2, activation="softmax", name="odds")(x)
    return _with_weights(keras.Model(image, [boxes, points, odds], name="onet"), weights)


def _conv(x: Any, filters: int, size: int) -> Any:
    import keras

    x = keras.layers.Conv2D(filters, size)(x)
    return keras.layers.PReLU(shared_axes=[1, 2])(x)


def _dense(x: Any, units: int) -> Any:
    """Dense layer over a column-major flattening, the order in which the weights were trained."""
    import keras

    x = keras.layers.Flatten()(keras.layers.Permute((2, 1, 3))(x))
    return keras.layers.PReLU()(keras.layers.Dense(units)(x))


def _with_weights(model: Any, weights: Sequence[Any]) -> Any:
    shapes = [tuple(w.shape) for w in model.weights]
    given = [tuple(w.shape) for w in weights]
    if shapes != given:
        raise BundleError(f"The weights do not fit {model.name}: {given} instead of {shapes}.")
    model.set_weights(list(weights))
    return model
