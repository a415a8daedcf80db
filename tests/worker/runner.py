"""A training process whose jobs only count: `python -m tests.worker.runner`.

What a job does is written in `script.json` in the folder of training data, see `Script`.
"""

import ctypes
import errno
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.domain.errors import TrainingDataError
from app.domain.training import (
    EnrolledPhotos,
    JobOutcome,
    JobPlaces,
    Judgement,
    Monitor,
    Stage,
    TrainingOptions,
)
from app.worker.__main__ import main

COMMAND: Final = (sys.executable, "-P", "-m", "tests.worker.runner")
SCRIPT: Final = "script.json"
STEPS: Final = "steps"
CHECKPOINT: Final = "checkpoint"
FOREVER: Final = 600
PERSON: Final = "zaphod"
_MIB: Final = 1024**2


@dataclass(frozen=True)
class Script:
    """What a job does.

    Attributes:
        steps: How many it counts, with a checkpoint after each.
        pause: Seconds a step takes.
        gate: At this step it waits until the file `gate` is there.
        hold: At this step it makes one call that does not return, and holds Python's lock.
        grow: MiB that it takes at each step, and keeps.
        error: What it ends with: data, disk, memory or bug.
    """

    steps: int = 3
    pause: float = 0.0
    gate: int | None = None
    hold: int | None = None
    grow: int = 0
    error: str | None = None

    def write(self, data_dir: Path) -> None:
        data_dir.mkdir(exist_ok=True)
        (data_dir / SCRIPT).write_text(json.dumps(vars(self)), "ascii")


def run(
    options: TrainingOptions,
    places: JobPlaces,
    monitor: Monitor,
    enrolled: EnrolledPhotos,
    activate: Callable[[str], None],
) -> JobOutcome:
    script = Script(**json.loads((places.data_dir / SCRIPT).read_text("ascii")))
    monitor.stage(Stage.CHECK)
    references = sum(1 for _ in enrolled())
    monitor.log(f"{references} references, {os.getpid()}, idle {_is_idle()}, pid {os.getppid()}")
    monitor.stage(Stage.TRAIN)
    begun = _checkpoint(places.work_dir)
    kept = []
    for step in range(begun + 1, script.steps + 1):
        kept.append(os.urandom(1) * (script.grow * _MIB))
        _count(places.work_dir, step)
        monitor.progress(step, script.steps, what="steps", epoch=1, loss=1 / step)
        _dwell(script, step, places.data_dir, monitor)
    _fail(script.error)
    return JobOutcome(options.version, Judgement.BETTER, activated=False, reasons=("counted",))


def _dwell(script: Script, step: int, data_dir: Path, monitor: Monitor) -> None:
    time.sleep(script.pause)
    if step == script.hold:
        # A library that is not called through CDLL keeps the lock; most don't return for a signal.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        ctypes.PyDLL(None).sleep(FOREVER)
    while step == script.gate and not (data_dir / "gate").exists():
        monitor.progress(step, script.steps, what="steps", epoch=1, loss=1 / step)
        time.sleep(0.01)


def _checkpoint(folder: Path) -> int:
    path = folder / CHECKPOINT
    return int(path.read_text("ascii")) if path.exists() else 0


def _count(folder: Path, step: int) -> None:
    with (folder / STEPS).open("a", encoding="ascii") as file:
        file.write(f"{step}\n")
    aside = folder / f"{CHECKPOINT}.new"
    aside.write_text(str(step), "ascii")
    aside.replace(folder / CHECKPOINT)


def _fail(error: str | None) -> None:
    if error == "data":
        problems = [{"code": "too_few_images", "message": "Add photos."}]
        raise TrainingDataError.of(problems, "It would be meaningless:")
    if error == "disk":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"/data/{PERSON}.jpg")
    if error == "memory":
        raise MemoryError
    if error == "bug":
        raise RuntimeError(PERSON)


def _is_idle() -> bool:
    return os.sched_getscheduler(0) == os.SCHED_IDLE


if __name__ == "__main__":
    sys.exit(main(run=run, command=COMMAND))
