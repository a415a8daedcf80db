"""This service's pipeline at work, a photo a line, for `python -m benchmarks.peers`.

It answers the lines that `benchmarks.peer_worker` answers for the peer.
"""

import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

from app.domain.entities import FacePolicy
from app.domain.errors import FacetwinError
from app.inference.bundle import load_active
from app.inference.decode import DecodeLimits
from app.inference.pipeline import Pipeline
from benchmarks.peer_worker import Answer, serve

POLICY: Final = FacePolicy.CENTRAL
"""As the report on LFW takes it."""

_STEPS: Final = {"decode": "decode", "detect": "detect", "align": "embed", "embed": "embed"}
"""The peer's step that holds each of the pipeline's: its encoding aligns the face, too."""


class _TwoClocks:
    """The pipeline's wall clock, which reads the CPU time beside it."""

    def __init__(self) -> None:
        self._readings: list[float] = []

    def __call__(self) -> float:
        self._readings.append(process_time())
        return perf_counter()

    def start(self) -> None:
        """Forget the readings of the last photo."""
        self._readings.clear()

    def cpu_ms(self, wall_ms: Mapping[str, float]) -> dict[str, float]:
        """CPU time of the laps that the pipeline reports as `wall_ms`."""
        laps = [(end - begin) * 1000 for begin, end in pairwise(self._readings)]
        return dict(zip(wall_ms, laps, strict=True))


def main() -> None:
    bundle = load_active(Path(sys.argv[1]))
    clocks = _TwoClocks()
    pipeline = Pipeline(bundle, engines=1, limits=DecodeLimits(), timer=clocks)

    def analyze(data: bytes) -> Answer:
        clocks.start()
        try:
            found = pipeline.analyze(data, POLICY)
        except FacetwinError as error:
            return {"reason": error.code}
        wall_ms = dict(found.timing_ms)
        return {
            "embedding": found.embedding.tolist(),
            "blocking": [reason.code.value for reason in found.quality.blocking],
            "wall_ms": _as_the_peer(wall_ms),
            "cpu_ms": _as_the_peer(clocks.cpu_ms(wall_ms)),
        }

    version = f"{pipeline.version}-{pipeline.fingerprint[:12]}-{bundle.manifest.checksum[:12]}"
    serve({"name": "facetwin", "version": version}, analyze)


def _as_the_peer(times: Mapping[str, float]) -> dict[str, float]:
    """The pipeline's times by the names of the peer's steps."""
    summed = dict.fromkeys(_STEPS.values(), 0.0)
    for step, time in times.items():
        summed[_STEPS[step]] += time
    return summed


if __name__ == "__main__":
    main()
