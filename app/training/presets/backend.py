"""Keras and TensorFlow made ready for a training: seeds, threads, precision."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

FULL: Final = "float32"
MIXED: Final = "mixed_float16"
"""Half precision in the layers, single in weights and losses; Keras scales the loss itself."""


def prepare(seed: int, threads: int) -> str:
    """Seed everything that Keras draws, and say which precision to train in.

    Operations are not forced to be deterministic: on a CPU they are, and on a GPU TensorFlow has
    none that is for the gradient of a depthwise convolution. There, two runs agree up to the order
    in which floats are added.

    Args:
        seed: Of initial weights.
        threads: That TensorFlow may use inside an operation. It can be told only before it has
            started; after that its own number stays.

    Returns:
        `MIXED` where a GPU is present, else `FULL`: CPUs are slower in half precision.
    """
    import keras
    import tensorflow as tf

    with suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(seed % 2**32)
    return MIXED if tf.config.list_physical_devices("GPU") else FULL


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Layers made inside have this precision.

    Args:
        policy: `FULL` or `MIXED`.
    """
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
