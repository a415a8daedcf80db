"""A training of the seed tutorial's protocol, in a process of its own, so that it can be measured.

Its folder keeps what each process of the job has used, so that a job that went on after a kill
still tells all of its time.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Final

from app.domain.training import JobOutcome, JobPlaces, Stage, TrainingOptions
from app.training.job.memory import read_json, write_json
from benchmarks.console_monitor import ConsoleMonitor

_USAGE: Final = "usage.json"
_NOTE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process of a job has used so far.

    Attributes:
        seconds: By the clock.
        cpu_seconds: Of all its threads.
        peak_mib: Most memory that was ever resident.
        load: The machine's load average over five minutes, at the last look.
        stages: Seconds of each stage.
        epochs: Epochs begun.
    """

    seconds: float
    cpu_seconds: float
    peak_mib: float
    load: float
    stages: dict[str, float]
    epochs: int

    def __add__(self, other: "Usage") -> "Usage":
        names = self.stages | other.stages
        return Usage(
            self.seconds + other.seconds,
            self.cpu_seconds + other.cpu_seconds,
            max(self.peak_mib, other.peak_mib),
            max(self.load, other.load),
            {name: self.stages.get(name, 0.0) + other.stages.get(name, 0.0) for name in names},
            max(self.epochs, other.epochs),
        )

    def figures(self) -> dict[str, Any]:
        """For the output."""
        return {
            "minutes": round(self.seconds / 60, 1),
            "cpu_minutes": round(self.cpu_seconds / 60, 1),
            "peak_mib": round(self.peak_mib),
            "load": round(self.load, 1),
            "stages": {name: round(seconds) for name, seconds in self.stages.items()},
            "epochs": self.epochs,
        }


class UsageMonitor(ConsoleMonitor):
    """Keeps in the job's folder what its processes have used; implements `Monitor`."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._before = read_usage(folder)
        self._began, self._noted = perf_counter(), 0.0
        self._stages: dict[str, float] = {}
        self._now: Stage | None = None
        self._entered = self._began
        self._epochs = 0

    def stage(self, stage: Stage) -> None:
        """Tell it, and keep what was used."""
        super().stage(stage)
        self._enter(stage)
        self.note()

    def progress(
        self,
        done: int,
        total: int,
        *,
        what: str | None = None,
        epoch: int | None = None,
        loss: float | None = None,
    ) -> None:
        """Keep what was used, now and then."""
        super().progress(done, total, what=what, epoch=epoch, loss=loss)
        self._epochs = max(self._epochs, epoch or 0)
        if perf_counter() - self._noted > _NOTE_SECONDS:
            self.note()

    def note(self) -> Usage:
        """Keep what was used until now, by this process and those before it."""
        self._noted = perf_counter()
        self._enter(self._now)
        used = Usage(
            self._noted - self._began,
            process_time(),
            peak_mib(),
            os.getloadavg()[1],
            dict(self._stages),
            self._epochs,
        )
        whole = self._before + used if self._before else used
        write_json(self._folder / _USAGE, {name: getattr(whole, name) for name in _FIELDS})
        return whole

    def _enter(self, stage: Stage | None) -> None:
        now = perf_counter()
        if self._now:
            name = self._now.value
            self._stages[name] = self._stages.get(name, 0.0) + now - self._entered
        self._now, self._entered = stage, now


_FIELDS: Final = tuple(Usage.__dataclass_fields__)


def read_usage(folder: Path) -> Usage | None:
    """What the processes of a job have used; None before the first."""
    document = read_json(folder / _USAGE)
    return Usage(**document) if document else None


def peak_mib() -> float:
    """Most memory that this process ever held."""
    status = Path("/proc/self/status").read_text("utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def train(options: TrainingOptions, places: JobPlaces) -> tuple[JobOutcome, Usage]:
    """Run a job, or go on with it, in a process of its own.

    Raises:
        FacetwinError: If the job can't be done.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_train, options, places).result()


def _train(options: TrainingOptions, places: JobPlaces) -> tuple[JobOutcome, Usage]:
    from app.training.job.run import run_job

    done = read_usage(places.work_dir) if _is_done(options, places) else None
    monitor = UsageMonitor(places.work_dir)
    outcome = run_job(options, places, monitor, lambda: iter(()), lambda _version: None)
    return outcome, done or monitor.note()


def _is_done(options: TrainingOptions, places: JobPlaces) -> bool:
    return options.version is not None and (places.model_dir / options.version).exists()
