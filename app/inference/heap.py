"""How many heaps the C library keeps for the threads of this process."""

import ctypes
import os
import sys
from typing import Final

_M_ARENA_MAX: Final = -8
"""Of glibc's malloc.h."""

_HEAPS: Final = 2


def share_heaps() -> None:
    """Let all threads allocate from few heaps, before any of them starts.

    By itself glibc gives each thread a heap of its own, up to eight for each core, and what was
    freed on one is of no use to the others: with two inference threads that was 8 MiB after
    hundreds of photos. Nothing waits for it, as small blocks come from a cache of the thread. Does
    nothing where MALLOC_ARENA_MAX is set, or where the C library is another one.
    """
    if sys.platform != "linux" or "MALLOC_ARENA_MAX" in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _HEAPS)


def trim_heaps() -> None:
    """Give freed memory back to the system, as after a pipeline has gone.

    The C library keeps it otherwise: 130 MiB after some changes of the model. Does nothing where
    that is another library.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
