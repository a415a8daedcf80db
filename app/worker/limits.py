"""What a job may take, and how it is told from outside how much it takes."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

LOW: Final = 10
"""Niceness of what must not stop while other programs keep all CPUs busy."""
_LEAST: Final = 19
_RESIDENT: Final = 1
"""The second number of /proc/PID/statm: pages in memory."""


def be_nice(process_id: int) -> None:
    """Let a process that has just begun run with a low priority."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process_id, LOW)


def run_idly(but: int) -> None:
    """Let this process run only when no other has work, as far as the system allows.

    Args:
        but: Native id of a thread that is left as it is. Threads that the others start afterwards
            are like them.
    """
    for thread in _threads():
        if thread != but:
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, thread, _LEAST)
            if sys.platform == "linux":
                with suppress(OSError):
                    os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))


def _threads() -> list[int]:
    """Native ids of this process's threads; just the process where the system does not tell."""
    try:
        return [int(entry.name) for entry in Path("/proc/self/task").iterdir()]
    except OSError:
        return [0]


def resident_bytes(process_id: int) -> int:
    """Memory (resident) of a process; 0 where the system does not tell, or it is gone."""
    try:
        pages = Path(f"/proc/{process_id}/statm").read_text("ascii").split()[_RESIDENT]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
