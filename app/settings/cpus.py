"""How many CPUs there are to use."""

import os
from pathlib import Path
from typing import Final

_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")
_QUOTA_V1: Final = Path("/sys/fs/cgroup/cpu")


def usable_cpus() -> int:
    """CPUs that this process may use, at least 1: its affinity, cut by a cgroup quota."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    cpus = len(os.sched_getaffinity(0))
    allowed = _quota()
    return cpus if allowed is None else max(1, min(cpus, round(allowed)))


def _quota() -> float | None:
    """CPUs that the cgroup of this process may use, in either version; None without a limit."""
    try:
        if _QUOTA.exists():
            quota, period = _QUOTA.read_text("ascii").split()
        else:
            quota, period = (
                (_QUOTA_V1 / f"cpu.cfs_{name}_us").read_text("ascii").strip()
                for name in ("quota", "period")
            )
    except (OSError, ValueError):
        return None
    return int(quota) / int(period) if quota.isdigit() else None
