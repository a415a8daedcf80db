"""From a Keras network to the .tflite file that serves."""

from enum import StrEnum
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

from app.domain.errors import BundleError


class Precision(StrEnum):
    """How weights are stored in a .tflite file."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"
    """Weights int8 per channel; activations are quantised while running (dynamic range)."""


def to_tflite(model: Any, precision: Precision) -> bytes:
    """Serialize `model` for LiteRT.

    Raises:
        BundleError: If the converter returns nothing.
    """
    import tensorflow as tf

    with TemporaryDirectory() as folder:
        _save(model, folder)
        # By the saved model, not by from_keras_model, which hides why it fails.
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if precision is not Precision.FLOAT32:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision is Precision.FLOAT16:
            converter.target_spec.supported_types = [tf.float16]
        data: bytes | None = converter.convert()
    if not data:
        raise BundleError(f"The network {model.name} could not be converted.")
    return data


def _save(model: Any, folder: str) -> None:
    """Save for inference; the outputs keep the order of the network."""
    import keras
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = [tf.TensorSpec(x.shape, dtype=x.dtype, name=x.name) for x in model.inputs]
    archive.add_endpoint("serve", partial(model.__call__, training=False), signature)
    archive.write_out(folder, verbose=False)
