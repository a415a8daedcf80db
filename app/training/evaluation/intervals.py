"""95 % intervals of rates over comparisons, by bootstrap over identities.

A rate of 0 or 1 among few people proves nothing about all; there the interval ends where no case
in as many independent trials as there are people would put it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.training.evaluation.curves import Comparisons, Indices, error_curve, resampled
from app.training.metrics import (
    Counts,
    Interval,
    bca_interval,
    bootstrap_weights,
    identity_rate_interval,
)

ROUNDS: Final = 200


def tar_interval(comparisons: Comparisons, fmr: float, weights: Counts) -> Interval:
    """True accept rate at the threshold that the impostor comparisons set at `fmr`."""
    drawn = [float(curve.tar(fmr)) for curve in resampled(comparisons, weights)]
    people = len(np.unique(comparisons.owners))
    return percentiles(float(error_curve(comparisons).tar(fmr)), drawn, people)


def fnmr_interval(comparisons: Comparisons, threshold: float, weights: Counts) -> Interval:
    """False non-match rate at a threshold that was set elsewhere."""
    count = weights.shape[1]
    missed = comparisons.owners[comparisons.genuine < np.float32(threshold)]
    found = identity_rate_interval(
        np.bincount(missed, minlength=count).astype(np.float64),
        np.bincount(comparisons.owners, minlength=count).astype(np.float64),
        weights,
    )
    return not_certain(found, len(np.unique(comparisons.owners)))


@dataclass(frozen=True, slots=True)
class ImpostorTrials:
    """Impostor comparisons, prepared for rates at several thresholds.

    Attributes:
        first: Identity of one side, shape (i,).
        second: Identity of the other side, shape (i,).
        weights: From `bootstrap_weights`.
        made: Comparisons in each round, shape (rounds,).
        own: Comparisons that each identity takes part in.
        identity_pairs: Distinct pairs of people.
    """

    first: Indices
    second: Indices
    weights: Counts
    made: Counts
    own: Counts
    identity_pairs: int

    @classmethod
    def of(cls, first: Indices, second: Indices, weights: Counts) -> "ImpostorTrials":
        """Count what does not hang on a threshold."""
        made = _drawn(first, second, weights)
        own = _own(first, second, weights.shape[1])
        return cls(first, second, weights, made, own, distinct_pairs(first, second))

    def rate(self, hits: NDArray[np.bool_]) -> Interval:
        """Share of hits, shape (i,).

        With few or no hits no resampling can show what was not seen, so the upper end is at least
        that of no hit in as many independent trials as there are pairs of identities.
        """
        first, second = self.first[hits], self.second[hits]
        found = bca_interval(
            (float(np.count_nonzero(hits)), float(len(hits))),
            (_drawn(first, second, self.weights), self.made),
            (_own(first, second, self.weights.shape[1]), self.own),
        )
        return Interval(found.value, found.low, max(found.high, unseen(self.identity_pairs)))


def accuracy_interval(
    right: NDArray[np.bool_], same: NDArray[np.bool_], sides: tuple[Indices, Indices], *, seed: int
) -> Interval:
    """Share of right answers; genuine and impostor pairs keep their shares in every round.

    Args:
        right: Whether each pair was judged rightly, shape (n,).
        same: Whether each pair is genuine, shape (n,).
        sides: Identities of the two sides, shape (n,) each.
        seed: Of the bootstrap over identities.
    """
    first, second = sides
    weights = bootstrap_weights(int(max(first.max(), second.max())) + 1, ROUNDS, seed)
    share = float(same.mean())
    drawn = []
    for times in weights:
        own, strangers = times[first] * same, times[first] * times[second] * ~same
        if own.any() and strangers.any():
            rates = (own @ right / own.sum(), strangers @ right / strangers.sum())
            drawn.append(share * rates[0] + (1 - share) * rates[1])
    return percentiles(float(right.mean()), drawn, len(np.union1d(first, second)))


def percentiles(value: float, drawn: Sequence[float], people: int) -> Interval:
    """A rate, and the middle 95 % of what it was in the rounds of a bootstrap over `people`."""
    low, high = np.percentile(drawn, [2.5, 97.5]) if drawn else (0.0, 1.0)
    found = Interval(value, min(float(low), value), max(float(high), value))
    return not_certain(found, people)


def not_certain(rate: Interval, people: int) -> Interval:
    """A rate of 0 or 1 among few people is not proven for all: resampling can't tell.

    Args:
        rate: As resampling gives it.
        people: Independent units that were resampled.
    """
    if rate.value == 0:
        return Interval(0.0, 0.0, max(rate.high, unseen(people)))
    if rate.value == 1:
        return Interval(1.0, min(rate.low, 1 - unseen(people)), 1.0)
    return rate


def unseen(trials: int) -> float:
    """Upper 95 % end of a rate of which no case was seen in so many independent trials."""
    return float(min(1.0, -np.log(0.025) / max(trials, 1)))


def _drawn(first: Indices, second: Indices, weights: Counts) -> Counts:
    return np.array([float(times[first] @ times[second]) for times in weights])


def _own(first: Indices, second: Indices, identities: int) -> Counts:
    both = np.bincount(first, minlength=identities) + np.bincount(second, minlength=identities)
    return both.astype(np.float64)


def distinct_pairs(first: Indices, second: Indices) -> int:
    """How many pairs of people there are among the comparisons."""
    low, high = np.minimum(first, second), np.maximum(first, second)
    return len(np.unique(low * (int(high.max(initial=0)) + 1) + high))
