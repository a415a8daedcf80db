"""Time of each stage of a verification, in one thread: `python -m benchmarks.stages`.

The photos go through the pipeline that serves, without HTTP and database. Wall time and the
processor's time alternate request by request; on a busy machine only the second is worth much.
"""

from collections.abc import Callable, Sequence
from time import perf_counter, thread_time
from typing import Any, Final

import numpy as np

from app.cli.output import print_table
from app.domain.entities import FacePolicy, FaceTemplate
from app.inference.bundle import Bundle, load_active
from app.inference.decode import DecodeLimits
from app.inference.pipeline import Pipeline
from app.settings import Settings
from benchmarks.photos import PERSON, probe, references, variant
from benchmarks.report import arguments, publish, rounded

_WARM_UP: Final = 10
_MAX_FMR: Final = 0.001
_TIMERS: Final[dict[str, Callable[[], float]]] = {"wall": perf_counter, "cpu": thread_time}

Times = dict[str, list[float]]
"""Milliseconds of each request by stage."""


class _Side:
    """The pipeline under one timer."""

    def __init__(self, bundle: Bundle, timer: Callable[[], float], enrolled: list[bytes]) -> None:
        self._pipeline = Pipeline(bundle, engines=1, limits=DecodeLimits(), timer=timer)
        self._timer = timer
        self._references = np.stack([self._analyze(photo).embedding for photo in enrolled])

    def verify(self, photo: bytes) -> dict[str, float]:
        """Milliseconds of one verification by stage.

        Raises:
            RuntimeError: If it is not a match.
        """
        found = self._analyze(photo)
        started = self._timer()
        verdict = self._pipeline.decider.decide(found, self._references, max_fmr=_MAX_FMR)
        match = (self._timer() - started) * 1000
        if not verdict.verified:
            raise RuntimeError(f"the benchmark's photo gave {verdict.decision}")
        stages = {**found.timing_ms, "match": match}
        return stages | {"total": sum(stages.values())}

    def _analyze(self, photo: bytes) -> FaceTemplate:
        return self._pipeline.analyze(photo, FacePolicy.PROMINENT)


def main() -> None:
    options = arguments(__doc__, requests=200)
    bundle = load_active(Settings().model_dir)
    enrolled = references(options.references)
    sides = {name: _Side(bundle, timer, enrolled) for name, timer in _TIMERS.items()}
    photos = {"640x480": probe(), "250x250": variant(PERSON, 0, width=250, height=250)}
    measured = {name: _measure(sides, photo, options.requests) for name, photo in photos.items()}
    figures: dict[str, Any] = {"references": options.references, "requests": options.requests}
    if options.json:
        figures["photos"] = measured
    else:
        for name, stages in measured.items():
            _print(name, stages)
    publish("stages", figures, model=bundle.manifest.version, as_json=options.json)


def _measure(sides: dict[str, _Side], photo: bytes, requests: int) -> dict[str, dict[str, float]]:
    """Percentiles by stage."""
    times: dict[str, Times] = {name: {} for name in sides}
    for turn in range(_WARM_UP + requests):
        for name, side in sides.items():
            stages = side.verify(photo)
            if turn >= _WARM_UP:
                for stage, milliseconds in stages.items():
                    times[name].setdefault(stage, []).append(milliseconds)
    return {
        stage: {
            f"{name}_p{percent}_ms": _percentile(times[name][stage], percent)
            for name in sides
            for percent in (50, 95)
        }
        for stage in times["wall"]
    }


def _percentile(values: Sequence[float], percent: float) -> float:
    return rounded(float(np.percentile(values, percent)))


def _print(photo: str, stages: dict[str, dict[str, float]]) -> None:
    headers = ("stage", "wall p50", "wall p95", "CPU p50", "CPU p95")
    rows = [(stage, *(f"{v:.2f}" for v in times.values())) for stage, times in stages.items()]
    print_table(headers, rows, title=f"Milliseconds, one thread, a {photo} JPEG with one face")


if __name__ == "__main__":
    main()
