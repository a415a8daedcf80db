"""How many CPUs there are to use."""

import os
from pathlib import Path


def usable_cpus() -> int:
    """CPUs that this process may use, at least 1: its affinity, cut by a cgroup quota."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    cpus = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
    except (OSError, ValueError):
        return cpus
    return cpus if quota == "max" else max(1, min(cpus, round(int(quota) / int(period))))
