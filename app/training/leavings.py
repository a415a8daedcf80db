"""Memory that a part of a job has done with."""

import ctypes
import gc
import mmap
import sys
from contextlib import suppress
from typing import Any, Final

from app.inference.heap import trim_heaps

_BLOCK: Final = 2 * 1024**2
"""Bytes that TensorFlow's pool is asked for at once: few enough to fit between what is in use."""


def let_go() -> None:
    """Give memory that nobody uses any more back to the system, before more is taken.

    What Keras compiles holds itself in a circle, optimizer and gradients with it: with the preset
    `seed`, twice its weights until Python happens to look for circles. And the C library, as
    TensorFlow's own pool, keeps what was freed.
    """
    gc.collect()
    if "tensorflow" in sys.modules:
        _discard_free_blocks()
    trim_heaps()


def empty(model: Any) -> None:
    """Free the weights of a compiled model, and the moments of its optimizer; it is of no use then.

    TensorFlow keeps the graph of a training step, once it was compiled, until the process ends, and
    with it every variable of the step: with the preset `seed`, half a gigabyte.

    Args:
        model: A built Keras model with an optimizer.
    """
    import tensorflow as tf

    for variable in (*model.optimizer.variables, *model.weights):
        own = variable.value
        tf.raw_ops.AssignVariableOp(resource=own.handle, value=tf.zeros((), own.dtype))


def _discard_free_blocks() -> None:
    """Give the pages of TensorFlow's pool back that hold nothing.

    With oneDNN the pool of the CPU only ever grows, and TensorFlow has no call to trim it. But
    blocks that it hands out belong to us, and what was never written to them takes no memory: so
    their old pages can be discarded before they are freed again.
    """
    import numpy as np
    import tensorflow as tf

    advise = getattr(ctypes.CDLL(None), "madvise", None) if sys.platform == "linux" else None
    if advise is None:
        return
    try:
        pool = tf.config.experimental.get_memory_info("CPU:0")
    except ValueError:  # there is no such pool
        return
    ours: list[Any] = []
    # No more than was in use at once: asked for more, the pool would grow.
    with tf.device("CPU:0"), suppress(tf.errors.ResourceExhaustedError):
        for _ in range((pool["peak"] - pool["current"]) // _BLOCK):
            block = tf.raw_ops.Empty(shape=[_BLOCK], dtype=tf.uint8, init=False)
            view = np.asarray(memoryview(block))
            ours += [block, view]
            start = view.ctypes.data
            first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
            last = (start + _BLOCK) // mmap.PAGESIZE * mmap.PAGESIZE
            advise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), mmap.MADV_DONTNEED)
