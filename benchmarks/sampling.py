"""What a process holds, sampled while it works: memory, files, threads, size of the database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from threading import Event, Thread
from time import perf_counter

import numpy as np


@dataclass(frozen=True)
class Sample:
    """One look.

    Attributes:
        second: Since the start of sampling.
        database: Bytes of the database and its write-ahead log together.
    """

    second: float
    rss_mib: float
    descriptors: int
    threads: int
    database: int


class Sampler:
    """Looks at a process at an interval, in a thread."""

    def __init__(self, pid: int, application_data: Path) -> None:
        self._process = Path(f"/proc/{pid}")
        self._database = application_data / "facetwin.sqlite"
        self._started = perf_counter()
        self.samples: list[Sample] = []

    @contextmanager
    def every(self, seconds: float) -> Iterator[None]:
        """Sample until the block ends, and once more at its end."""
        ended = Event()

        def run() -> None:
            while not ended.wait(seconds):
                self.sample()

        thread = Thread(target=run, daemon=True)
        self.sample()
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self.sample()

    def sample(self) -> None:
        """Look once."""
        status = dict(
            line.split(":\t", 1)
            for line in (self._process / "status").read_text("ascii").splitlines()
            if ":\t" in line
        )
        self.samples.append(
            Sample(
                perf_counter() - self._started,
                int(status["VmRSS"].split()[0]) / 1024,
                sum(1 for _ in (self._process / "fd").iterdir()),
                int(status["Threads"]),
                sum(_size(f"{self._database}{suffix}") for suffix in ("", "-wal", "-shm")),
            )
        )

    def since(self, second: float) -> list[Sample]:
        """Samples from this second on."""
        return [sample for sample in self.samples if sample.second >= second]


def growth_by_tenths(samples: list[Sample], of: Callable[[Sample], float]) -> float:
    """Median of the last tenth over that of the first, minus 1."""
    tenth = max(1, len(samples) // 10)
    values = [of(sample) for sample in samples]
    return median(values[-tenth:]) / median(values[:tenth]) - 1


def growth_by_line(samples: list[Sample], of: Callable[[Sample], float]) -> float:
    """Growth from the first to the last second on the least-squares line, minus 1."""
    seconds = np.array([sample.second for sample in samples])
    values = np.array([of(sample) for sample in samples])
    if len(samples) < 2:
        return 0.0
    slope, start = np.polyfit(seconds - seconds[0], values, 1)
    return float(slope * (seconds[-1] - seconds[0]) / start)


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:
        return 0
