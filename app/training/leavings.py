"""Memory that a part of a job has done with."""

import ctypes
import gc
import mmap
import sys
from contextlib import suppress
from typing import Any, Final

from app.inference.heap import trim_heaps

_MB: Final = 1024**2
_BLOCKS: Final = ((32 * _MB, 64), (2 * _MB, 128))
"""Sizes and numbers of the blocks that TensorFlow's pool is asked for: more than it ever held of
2 GB in large pieces, and of what lies between them."""


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
    blocks = []
    with tf.device("CPU:0"), suppress(tf.errors.ResourceExhaustedError):
        for size, count in _BLOCKS:
            for _ in range(count):
                block = tf.raw_ops.Empty(shape=[size], dtype=tf.uint8, init=False)
                blocks.append(block)
                start = np.asarray(memoryview(block)).ctypes.data
                first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
                last = (start + size) // mmap.PAGESIZE * mmap.PAGESIZE
                advise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), mmap.MADV_DONTNEED)
