"""Damaged photos through the whole pipeline: `python -m benchmarks.fuzz --images 100000`.

Each photo must be embedded, or refused with one of the errors that say something about a photo. At
any other error, at a crash, and when a photo takes too much time or memory, the run ends with
status 1 and keeps the photo.
"""

import argparse
import math
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np

from app.domain.entities import FacePolicy
from app.inference.bundle import load_active
from app.inference.decode import DecodeLimits
from app.inference.manifest import EmbeddingSection
from app.inference.pipeline import Pipeline
from app.services.photos import UNUSABLE
from benchmarks.fuzz_seeds import seeds
from benchmarks.mutations import mutate
from benchmarks.report import publish, rounded

MODEL_DIR: Final = Path(__file__).parents[1] / "model"
MAX_PIXELS: Final = 2_000_000
MAX_SECONDS: Final = 2.0
"""Processor time that a photo of at most `MAX_PIXELS` may take."""
MAX_RSS_MIB: Final = 512
"""Peak memory of a process: the networks, their shapes, and a few copies of `MAX_PIXELS`."""
_HUNG_SECONDS: Final = 120.0
_REPORT_EVERY: Final = 50
_POLL_SECONDS: Final = 0.2


class FailedPhotoError(Exception):
    """A photo did what none may do."""


@dataclass
class Tally:
    """What became of photos, by outcome.

    Attributes:
        slowest: Processor time of the slowest photo in milliseconds, and its number.
        peak_rss_mib: Of the process that used most.
        failure: Number of the photo that failed and why; None while none has.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, int] = (0.0, -1)
    peak_rss_mib: float = 0.0
    failure: tuple[int, str] | None = None

    def add(self, other: "Tally") -> None:
        """Take over what another process reports."""
        self.outcomes.update(other.outcomes)
        self.slowest = max(self.slowest, other.slowest)
        self.peak_rss_mib = max(self.peak_rss_mib, other.peak_rss_mib)
        self.failure = self.failure or other.failure


class Worker:
    """A child process that takes every n-th photo, and says which one it has in work."""

    def __init__(self, options: argparse.Namespace, first: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.reports, ours = context.Pipe(duplex=False)
        self._current: Synchronized[int] = context.Value("q", -1)
        numbers = range(first, options.images, options.processes)
        self.process: SpawnProcess = context.Process(
            target=_work, args=(options.seed, numbers, ours, self._current), daemon=True
        )
        self.process.start()
        ours.close()
        self._seen = (-1, time.monotonic())
        self.done = False

    def reported(self) -> Tally:
        """What it reports since the last call; a crash and a standstill are failures of a photo."""
        tally = Tally()
        try:
            while self.reports.poll():
                tally.add(self.reports.recv())
        except EOFError:
            self.done = True
            self.process.join()
            if self.process.exitcode and tally.failure is None:
                tally.failure = (self._current.value, f"exit status {self.process.exitcode}")
        if not self.done and self._stands_still():
            tally.failure = (self._current.value, f"no end within {_HUNG_SECONDS:.0f} s")
        return tally

    def _stands_still(self) -> bool:
        number, now = self._current.value, time.monotonic()
        if number != self._seen[0]:
            self._seen = (number, now)
        return now - self._seen[1] > _HUNG_SECONDS


def main() -> None:
    options = _arguments()
    started = time.monotonic()
    tally = _supervise([Worker(options, first) for first in range(options.processes)])
    count = tally.outcomes.total()
    figures: dict[str, Any] = {
        "images": count,
        "seed": options.seed,
        "processes": options.processes,
        **dict(tally.outcomes.most_common()),
        "slowest_cpu_ms": rounded(tally.slowest[0]),
        "slowest_image": tally.slowest[1],
        "peak_rss_mib": rounded(tally.peak_rss_mib),
        "images_per_s": rounded(count / (time.monotonic() - started)),
    }
    publish("fuzz", figures, model=load_active(MODEL_DIR).manifest.version, as_json=options.json)
    if tally.failure is not None:
        number, reason = tally.failure
        sys.exit(f"image {number}: {reason}; kept as {_keep(options, number)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000, help="damaged photos to run")
    parser.add_argument("--seed", type=int, default=1, help="another seed is another set")
    parser.add_argument("--processes", type=int, default=2, help="photos in work at once")
    parser.add_argument("--keep", type=Path, help="folder for a photo that fails")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


def _supervise(workers: Sequence[Worker]) -> Tally:
    tally = Tally()
    try:
        while tally.failure is None and not all(worker.done for worker in workers):
            for worker in workers:
                if not worker.done:
                    tally.add(worker.reported())
            time.sleep(_POLL_SECONDS)
    finally:
        for worker in workers:
            worker.process.kill()
    return tally


def _keep(options: argparse.Namespace, number: int) -> Path:
    folder = options.keep or Path(tempfile.mkdtemp(prefix="facetwin-fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    path: Path = folder / f"seed{options.seed}-image{number}"
    path.write_bytes(photo(options.seed, number, seeds()))
    return path


def photo(seed: int, number: int, files: Sequence[bytes]) -> bytes:
    """The damaged photo of this number; the same at each call."""
    return mutate(files, Random(f"{seed}:{number}"))


def outcome(pipeline: Pipeline, section: EmbeddingSection, data: bytes) -> str:
    """What the pipeline makes of a photo: `embedded`, or the code of the error.

    Raises:
        FailedPhotoError: If it does what it never may.
    """
    try:
        stored = pipeline.normalize(data)
        template = pipeline.analyze(data, FacePolicy.PROMINENT)
    except UNUSABLE as error:
        return error.code
    except Exception as error:
        raise FailedPhotoError(f"{type(error).__name__}: {error}") from error
    if not math.isclose(float(np.linalg.norm(section.face(template.embedding))), 1, rel_tol=1e-3):
        raise FailedPhotoError("the embedding is not of unit length")
    if not stored.startswith(b"\xff\xd8"):
        raise FailedPhotoError("what would be stored is no JPEG file")
    return "embedded"


def _work(seed: int, numbers: range, reports: Connection, current: "Synchronized[int]") -> None:
    # The decoders write a line about most photos.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    files = seeds()
    limits = DecodeLimits(max_pixels=MAX_PIXELS)
    bundle = load_active(MODEL_DIR)
    pipeline = Pipeline(bundle, engines=1, limits=limits)
    pipeline.self_test()
    attempt = partial(outcome, pipeline, bundle.manifest.embedding)
    tally = Tally()
    for number in numbers:
        current.value = number
        _run(attempt, photo(seed, number, files), number, tally)
        if tally.failure or tally.outcomes.total() == _REPORT_EVERY:
            reports.send(tally)
            if tally.failure:
                return
            tally = Tally()
    reports.send(tally)


def _run(attempt: Callable[[bytes], str], data: bytes, number: int, tally: Tally) -> None:
    started = time.process_time()
    try:
        tally.outcomes[attempt(data)] += 1
    except FailedPhotoError as error:
        tally.failure = (number, str(error))
    seconds = time.process_time() - started
    tally.slowest = max(tally.slowest, (seconds * 1000, number))
    tally.peak_rss_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if seconds > MAX_SECONDS:
        tally.failure = (number, f"took {seconds:.1f} s of processor time")
    if tally.peak_rss_mib > MAX_RSS_MIB:
        tally.failure = (number, f"the process grew to {tally.peak_rss_mib:.0f} MiB")


if __name__ == "__main__":
    main()
