"""FNMR of a bundle in many rounds of a bootstrap at once."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from app.domain.entities import Floats
from app.training.acceptance.contest import GivenSubjects
from app.training.acceptance.crowd import Crowd
from app.training.acceptance.sample import Flags, Indices
from app.training.evaluation.curves import Comparisons, Rates
from app.training.metrics import Counts

CELLS: Final = 4_000_000
"""Weights in memory at a time, about."""

AHEAD: Final = 3
"""Looked at first are so many times as many of the highest scores as may match."""


def fnmr_rounds(
    found: Comparisons, fmr: float, weights: Counts, crowd: Crowd | None = None
) -> Rates:
    """FNMR at the threshold that the impostors set at `fmr`, in each round of a bootstrap.

    The same as `resampled` gives, but for many rounds at once.

    Args:
        found: Trials of one bundle.
        fmr: At most so many impostors match.
        weights: How often each round draws what is resampled.
        crowd: If given, the threshold is no laxer than these pairs set it.

    Returns:
        Shape (rounds,); not a number where a round drew no genuine or no impostor comparison.
    """
    rates = np.full(len(weights), np.nan)
    if not len(found.impostor) or not len(found.genuine):
        return rates
    edge, complete = _edges(_strangers(found, weights), fmr)
    if crowd:
        further, known = _edges(_Falling(crowd.scores, crowd.first, crowd.second, weights), fmr)
        edge, complete = np.maximum(edge, further), complete & known
    nobody = found.first[:0]
    alone = replace(found, impostor=found.impostor[:0], first=nobody, second=nobody)
    order = np.argsort(found.genuine)
    below = np.searchsorted(found.genuine[order], edge, side="left")
    step = max(CELLS // len(order), 1)
    for start in range(0, len(weights), step):
        part = slice(start, start + step)
        own, _ = alone.weigh(weights[part])
        missed = np.cumsum(own[:, order], axis=1)
        last = np.maximum(below[part] - 1, 0)
        lost = np.where(below[part] > 0, missed[np.arange(len(missed)), last], 0.0)
        drawn = complete[part] & (missed[:, -1] > 0)
        rates[part][drawn] = lost[drawn] / missed[drawn, -1]
    return rates


@dataclass(frozen=True, slots=True)
class _Falling:
    """Scores of impostors, the highest first, and how much both sides count in each round.

    Attributes:
        scores: Shape (n,).
        first: Column of `sides` for one side of each, shape (n,).
        second: Column of `drawn` for the other, shape (n,).
        drawn: Shape (rounds, numbers).
        sides: The same, unless the first side is weighted in a way of its own.
    """

    scores: Floats
    first: Indices
    second: Indices
    drawn: Rates
    sides: Rates | None = None

    def weigh(self, rows: slice | Indices, most: int) -> Rates:
        """Weights of the `most` highest in some rounds."""
        sides = self.drawn if self.sides is None else self.sides
        first, second = self.first[:most], self.second[:most]
        return np.asarray(sides[rows][:, first] * self.drawn[rows][:, second])

    def totals(self) -> Rates:
        """Weight of all in each round; the pairs of numbers are counted once for all rounds."""
        sides = self.drawn if self.sides is None else self.sides
        shape = sides.shape[1], self.drawn.shape[1]
        pairs = np.bincount(self.first * shape[1] + self.second, minlength=shape[0] * shape[1])
        counts = pairs.reshape(shape).astype(np.float64)
        return np.asarray(((sides @ counts) * self.drawn).sum(axis=1))


def _strangers(found: Comparisons, weights: Counts) -> _Falling:
    order = np.argsort(-found.impostor)
    sides = found.sides(weights) if isinstance(found, GivenSubjects) else None
    return _Falling(
        found.impostor[order],
        found.first[order],
        found.second[order],
        weights.astype(np.float64),
        sides,
    )


def _edges(impostors: _Falling, fmr: float) -> tuple[Floats, Flags]:
    """Threshold of each round, and whether it drew any of the scores."""
    scores, totals = impostors.scores, impostors.totals()
    allowed = totals * (fmr * (1 + 1e-9))
    edges = np.full(len(totals), scores[-1])
    ahead = min(int(AHEAD * fmr * len(scores)) + 100, len(scores))
    open_rounds = np.arange(len(totals))
    for most in (ahead, len(scores)):
        still = []
        step = max(CELLS // most, 1)
        for start in range(0, len(open_rounds), step):
            rows = open_rounds[start : start + step]
            barred = np.cumsum(impostors.weigh(rows, most), axis=1) > allowed[rows, None]
            known = barred.any(axis=1)
            at = barred[known].argmax(axis=1)
            edges[rows[known]] = np.nextafter(scores[at], np.float32(np.inf))
            still.append(rows[~known])
        open_rounds = np.concatenate(still) if still else open_rounds
    return edges, totals > 0
