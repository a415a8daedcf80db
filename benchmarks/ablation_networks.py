"""The two ends of an embedding network: apart, halfway between, and with int8 activations."""

from tempfile import TemporaryDirectory
from typing import Any, Final

from app.domain.entities import Floats
from app.domain.errors import BundleError
from app.inference.bundle import Bundle

_UNITS: Final = ("first_unit", "second_unit")
"""Layers of `with_second_end` that give the unit-length embedding of the published end and the
adapted one."""

_SECOND_END: Final = "second_end"
_WEIGHTED: Final = "second_weighted"


def two_ended(bundle: Bundle) -> Any:
    """The bundle's embedding network, (n, size, size, 3) to (n, d).

    Raises:
        BundleError: If it is not kept as a Keras file, or has one end only.
    """
    import keras

    version, name = bundle.manifest.version, bundle.manifest.embedding.keras
    if name is None:
        raise BundleError(f"The bundle {version} has no Keras file of its embedding.")
    network = keras.saving.load_model(bundle.directory / name, safe_mode=True)
    if _SECOND_END not in {layer.name for layer in network.layers}:
        raise BundleError(f"The embedding of {version} has one end only: nothing to take apart.")
    return network


def served_weight(network: Any) -> float:
    """Of the second end in the sum."""
    return float(network.get_layer(_WEIGHTED).scale)


def published_end(network: Any) -> Any:
    """The network without its second end, to unit length (n, d)."""
    import keras

    return keras.Model(network.input, network.get_layer(_UNITS[0]).output, name="published_end")


def both_ends(network: Any) -> Any:
    """The unit-length embeddings of both ends, (n, 2, d), the published one first."""
    import keras

    ends = [network.get_layer(unit).output for unit in _UNITS]
    stacked = keras.layers.Reshape((2, -1))(keras.layers.Concatenate()(ends))
    return keras.Model(network.input, stacked, name="both_ends")


def halfway(network: Any) -> Any:
    """One end whose weights are the mean of both ends' weights, to unit length (n, d)."""
    import keras

    published = published_end(network)
    middle = keras.models.clone_model(published)
    middle.set_weights(published.get_weights())
    # The second end began as a copy of the first, so its layers have the same names.
    for layer in network.get_layer(_SECOND_END).layers:
        own = layer.get_weights()
        if own:
            pairs = zip(published.get_layer(layer.name).get_weights(), own, strict=True)
            middle.get_layer(layer.name).set_weights([(a + b) / 2 for a, b in pairs])
    return middle


def to_full_int8(network: Any, faces: Floats) -> bytes:
    """As .tflite with int8 weights and activations; input and output stay float32.

    Args:
        network: From prepared faces to embeddings.
        faces: Prepared, (n, size, size, 3); the ranges of all activations are measured on them.

    Raises:
        BundleError: If the converter returns nothing.
    """
    import tensorflow as tf

    with TemporaryDirectory() as folder:
        network.export(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([face[None]] for face in faces)
        data: bytes | None = converter.convert()
    if not data:
        raise BundleError(f"The network {network.name} could not be converted.")
    return data
