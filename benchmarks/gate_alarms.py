"""How often is the gate of a training wrong? `python -m benchmarks.gate_alarms`.

Synthetic people are photographed, and two bundles embed the photos with noise of their own. Where
both have the same noise, every `better`, `worse` and `lost` is a false alarm: nominal are 2.5 % of
each. Where the active bundle has more, the share of `better` is the gate's power. Exits with
code 1 if `better` is significantly more frequent than 5 % where nothing differs.
"""

import argparse
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from app.domain.training import Judgement
from app.training.acceptance.contest import Contender, Contest
from app.training.acceptance.gate import judge
from app.training.acceptance.regression import Enrolled, regressions
from benchmarks.report import publish
from tests.training.acceptance.scenes import DECIDER, contest, embedded, sample

NOISE: Final = 0.6
"""Of an ordinary bundle: it misses one in fourteen at an FMR of 0.05."""

TOLERATED: Final = 0.05


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of training.

    Attributes:
        photos: Of the owner on the test side.
        impostors: Other people there, a photo each.
        max_fmr: FACETWIN_MAX_FMR.
        active: Noise of the active bundle.
    """

    photos: int
    impostors: int
    max_fmr: float
    active: float = NOISE

    def __str__(self) -> str:
        return f"{self.photos}_photos_{self.impostors}_others_fmr_{self.max_fmr:g}_{self.active:g}"


ALIKE: Final = (
    *(Cell(photos, 250, 0.05) for photos in (8, 16, 40, 100)),
    *(Cell(photos, 250, 0.01) for photos in (8, 16, 40, 100)),
    Cell(16, 250, 0.001),
    Cell(40, 250, 0.001),
    Cell(40, 100, 0.05),
    Cell(40, 1000, 0.05),
)
UNLIKE: Final = (
    *(Cell(photos, 250, 0.05, 0.8) for photos in (16, 40, 100)),
    *(Cell(photos, 250, 0.05, 1.2) for photos in (8, 16, 40)),
)
SUBJECTS: Final = (3, 10, 30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=300, help="trainings of each kind")
    parser.add_argument(
        "--rounds", type=int, default=300, help="of the bootstrap; a training takes 1000"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    figures: dict[str, Any] = {"repeats": options.repeats, "rounds": options.rounds}
    alarms = 0
    for cell in (*ALIKE, *UNLIKE):
        row = _judged(cell, options.repeats, options.rounds)
        figures[str(cell)] = row
        alarms += cell in ALIKE and _exceeds(row["better"], options.repeats)
    for subjects in SUBJECTS:
        figures[f"lost_of_{subjects}_enrolled"] = _lost(subjects, options.repeats)
    publish("gate_alarms", figures, model="none", as_json=options.json)
    raise SystemExit(1 if alarms else 0)


def _judged(cell: Cell, repeats: int, rounds: int) -> dict[str, float]:
    """Percent of judgements, mean FNMR of both, share of thresholds that other people backed."""
    made = sample([cell.photos, *[1] * cell.impostors])
    results = [
        judge(
            contest(made, NOISE, cell.active, seed=seed),
            max_fmr=cell.max_fmr,
            seed=seed,
            rounds=rounds,
        )
        for seed in range(repeats)
    ]
    verdicts = Counter(result.judgement for result in results)
    pairs = [
        (one.candidate.value, one.active.value) for one in results if one.candidate and one.active
    ]
    candidate, active = np.mean(pairs, axis=0) if pairs else (math.nan, math.nan)
    return {
        "better": _percent(verdicts[Judgement.BETTER], repeats),
        "worse": _percent(verdicts[Judgement.WORSE], repeats),
        "fnmr": round(float(candidate), 3),
        "fnmr_active": round(float(active), 3),
        "backed_by_others": _percent(sum(result.pairs > 0 for result in results), repeats),
    }


def _lost(subjects: int, repeats: int) -> float:
    """Percent of trainings that call enrolled subjects lost though both bundles are alike."""
    return _percent(sum(_losses(subjects, repeats)), repeats)


def _losses(subjects: int, repeats: int) -> Iterator[bool]:
    made, gallery = sample([8, *[1] * 250]), sample([4] * subjects, owner=None)
    names = tuple(f"s{person}" for person in gallery.people)
    for seed in range(repeats):
        candidate, active = (
            Contender(name, DECIDER, embedded(made, 0.8, seed=seed, own=own))
            for own, name in ((1, "new"), (2, "old"))
        )
        # Other people than those of the test side, so another seed.
        new, old = (embedded(gallery, 0.8, seed=10**6 + seed, own=own) for own in (1, 2))
        enrolled = Enrolled(names, new, old)
        results = regressions(
            Contest.of(made, candidate, active), enrolled, max_fmr=0.01, seed=seed
        )
        yield results[1].lost


def _percent(count: int, of: int) -> float:
    return round(100 * count / of, 1)


def _exceeds(percent: float, repeats: int) -> bool:
    """Whether so many are too many for `TOLERATED`: 1.645 standard errors of it above."""
    spread = math.sqrt(TOLERATED * (1 - TOLERATED) / repeats)
    return percent / 100 > TOLERATED + 1.645 * spread


if __name__ == "__main__":
    main()
