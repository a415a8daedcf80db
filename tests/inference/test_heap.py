"""The C library's setting holds for a whole process, so a fresh one is asked."""

import os
import platform
import subprocess
import sys

import pytest

_THREADS = """
import ctypes, threading
from app.inference.heap import share_heaps
{setting}
barrier = threading.Barrier(7)
def work():
    barrier.wait()
    kept.append(bytearray(100_000))
    barrier.wait()
kept = []
threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads: thread.start()
barrier.wait()
ctypes.CDLL(None).malloc_stats()
barrier.wait()
"""


def heaps(setting: str, **environment: str) -> int:
    """How many heaps seven threads have."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", _THREADS.format(setting=setting)],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.count("Arena ")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_threads_share_two_heaps_unless_the_operator_says_otherwise() -> None:
    assert heaps("share_heaps()") == 2
    assert heaps("") > 2
    assert heaps("share_heaps()", MALLOC_ARENA_MAX="4") > 2
