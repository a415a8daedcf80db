"""Keras and TensorFlow made ready for a training: seeds, threads, precision."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

FULL: Final = "float32"
MIXED: Final = "mixed_float16"
"""Half precision in the layers, single in weights and losses; Keras scales the loss itself."""
MIXED_ON_CPU: Final = "mixed_bfloat16"
"""The same in a format with the range of single precision, so that no loss has to be scaled."""

_CPU_FLAGS: Final = frozenset({"avx512_bf16", "amx_bf16"})
"""Of Linux, for a CPU that multiplies `MIXED_ON_CPU` faster than single precision."""


def prepare(seed: int, threads: int, *, mixed_on_cpu: bool = False) -> str:
    """Seed everything that Keras draws, and say which precision to train in.

    Operations are not forced to be deterministic: on a CPU they are, and on a GPU TensorFlow has
    none that is for the gradient of a depthwise convolution. There, two runs agree up to the order
    in which floats are added.

    Args:
        seed: Of initial weights.
        threads: That TensorFlow may use inside an operation. It can be told only before it has
            started; after that its own number stays.
        mixed_on_cpu: Whether the network gains by `MIXED_ON_CPU` where the CPU has it: wide
            convolutions do, depthwise ones do not.

    Returns:
        `MIXED` where a GPU is present, `MIXED_ON_CPU` where it is wanted and the CPU multiplies
        it, else `FULL`.
    """
    import keras
    import tensorflow as tf

    with suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(seed % 2**32)
    if tf.config.list_physical_devices("GPU"):
        return MIXED
    return MIXED_ON_CPU if mixed_on_cpu and _CPU_FLAGS & cpu_flags() else FULL


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """What the processor can do, in Linux' words; nothing where they can't be read."""
    with suppress(OSError):
        for line in cpuinfo.read_text("utf-8").splitlines():
            name, _, flags = line.partition(":")
            if name.strip() == "flags":
                return frozenset(flags.split())
    return frozenset()


@contextmanager
def precision(policy: str) -> Iterator[None]:
    """Layers made inside have this precision.

    Args:
        policy: `FULL`, `MIXED` or `MIXED_ON_CPU`.
    """
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
