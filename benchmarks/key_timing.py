"""Does the time to refuse a key tell how much of it was right? `python -m benchmarks.key_timing`.

Wrong keys that share more and more characters with a real one are looked up in random order, many
times each. For each kind the median is printed, and its ratio to the median of keys that share
nothing with a 95 % interval by bootstrap over blocks. A ratio whose interval holds 1 tells nothing.
"""

import argparse
import random
import secrets
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.access import Role
from app.services.key_ring import KeyRing
from app.storage.database import Database
from benchmarks.report import publish

KEYS = 20
RESAMPLES = 2000
CALLS_A_SAMPLE = 20

Times = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=5000, help="timed samples of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        times = _measure(Path(folder), options.samples, random.Random(options.seed))
    figures: dict[str, Any] = {"samples": options.samples, "keys": KEYS}
    generator = np.random.default_rng(options.seed)
    for shared, own in times.items():
        figures[f"shared_{shared}_median_us"] = round(float(np.median(own)), 3)
        if shared:
            figures[f"shared_{shared}_ratio"] = _ratio(own, times[0])
            figures[f"shared_{shared}_interval"] = _interval(own, times[0], generator)
    publish("key_timing", figures, model="none", as_json=options.json)


def _measure(folder: Path, samples: int, rng: random.Random) -> dict[int, Times]:
    """Microseconds of one lookup by the number of shared characters, in blocks of equal times."""
    keys = [f"ftw_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}" for _ in range(KEYS)]
    database = Database(f"sqlite:///{folder}/keys.sqlite")
    database.migrate()
    ring = KeyRing([(Role.VERIFY, key) for key in keys], database)
    ring.load()
    real = keys[KEYS // 2]
    kinds = (0, 10, 40, len(real) - 1)
    times: dict[int, list[float]] = {kind: [] for kind in kinds}
    for _ in range(samples):
        # All kinds in one block and in random order: what disturbs, disturbs them alike.
        for kind in rng.sample(kinds, len(kinds)):
            times[kind].append(_time(ring, _wrong(real, kind)))
    database.close()
    return {kind: np.array(own) for kind, own in times.items()}


def _wrong(real: str, shared: int) -> str:
    """A key of the same length that is right in the first `shared` characters and no further."""
    changed = "A" if real[shared] != "A" else "B"
    return real[:shared] + changed + secrets.token_urlsafe(96)[: len(real) - shared - 1]


def _time(ring: KeyRing, key: str) -> float:
    begun = perf_counter_ns()
    for _ in range(CALLS_A_SAMPLE):
        ring.identify(key)
    return (perf_counter_ns() - begun) / CALLS_A_SAMPLE / 1000


def _ratio(own: Times, base: Times) -> float:
    return round(float(np.median(own) / np.median(base)), 4)


def _interval(own: Times, base: Times, generator: np.random.Generator) -> tuple[float, float]:
    """95 % interval of the ratio of medians; a block keeps its members together."""
    ratios = [
        np.median(own[drawn]) / np.median(base[drawn])
        for drawn in (generator.integers(len(own), size=len(own)) for _ in range(RESAMPLES))
    ]
    low, high = np.quantile(ratios, (0.025, 0.975))
    return round(float(low), 4), round(float(high), 4)


if __name__ == "__main__":
    main()
