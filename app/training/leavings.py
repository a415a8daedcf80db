"""Memory that a part of a job has done with."""

import gc

from app.inference.heap import trim_heaps


def let_go() -> None:
    """Give memory that nobody uses any more back to the system, before more is taken.

    What Keras compiles holds itself in a circle, optimizer and gradients with it: with the preset
    `seed`, twice its weights until Python happens to look for circles. And the C library keeps what
    TensorFlow has freed.
    """
    gc.collect()
    trim_heaps()
