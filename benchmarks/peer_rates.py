"""Error rates of two sides on the same pairs, and the ratio of the two with its interval.

Identities are resampled, not pairs, and both sides meet the same resampled people, so that what
makes people hard to tell apart cancels out of the ratio. Each round sets its own thresholds, so
their uncertainty counts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.training.evaluation.curves import FAILED, Comparisons, Indices, error_curve, resampled
from app.training.evaluation.pairing import (
    IMPOSTOR_PAIRS,
    genuine_pairs,
    impostor_pairs,
    pair_scores,
)
from app.training.metrics import Counts, Interval, bootstrap_weights
from benchmarks.peer_side import Side

Rounds = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rows of photos: both of each genuine pair, and of each impostor pair."""

    genuine: tuple[Indices, Indices]
    impostor: tuple[Indices, Indices]


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate over all people, and in each bootstrap round, shape (rounds,)."""

    value: float
    rounds: Rounds

    def interval(self) -> Interval:
        """The rate with the middle 95 % of its rounds."""
        low, high = np.percentile(self.rounds, [2.5, 97.5])
        return Interval(self.value, float(low), float(high))


def draw_pairs(identities: Indices, *, seed: int, impostors: int = IMPOSTOR_PAIRS) -> Pairs:
    """All genuine pairs, and `impostors` pairs of two people's photos or all there are.

    Photos that a side could not use are in them: both sides get the same pairs.
    """
    generator = np.random.default_rng(seed)
    genuine = genuine_pairs(identities, generator, cap=len(identities) ** 2)
    rows = np.arange(len(identities))
    return Pairs(genuine, impostor_pairs(identities, rows, generator, impostors))


def comparisons(side: Side, pairs: Pairs) -> Comparisons:
    """What a side makes of the pairs.

    A genuine pair with a photo that it could not use has failed. Such an impostor pair does not
    count, so a side does not buy a laxer threshold by failing.
    """
    photos, (first, second), (left, right) = side.photos, pairs.genuine, pairs.impostor
    genuine = pair_scores(photos.embeddings, first, second, side.decider)
    genuine[~(photos.usable[first] & photos.usable[second])] = FAILED
    usable = photos.usable[left] & photos.usable[right]
    left, right = left[usable], right[usable]
    return Comparisons(
        genuine=genuine,
        owners=photos.identities[first],
        impostor=pair_scores(photos.embeddings, left, right, side.decider),
        first=photos.identities[left],
        second=photos.identities[right],
    )


def shared_weights(
    both: tuple[Comparisons, Comparisons], *, identities: int, rounds: int, seed: int
) -> Counts:
    """Bootstrap weights without the rounds in which one of the sides has nothing to compare."""
    weights = bootstrap_weights(identities, rounds, seed)
    kept = [all(_compared(made, drawn) for made in both) for drawn in weights]
    return weights[np.flatnonzero(kept)]


def _compared(made: Comparisons, drawn: Counts) -> bool:
    strangers = drawn[made.first] * drawn[made.second]
    return bool(drawn[made.owners].any() and strangers.any())


def fnmr_at_fmr(made: Comparisons, fmr: float, weights: Counts) -> Rate:
    """FNMR at the threshold that the impostor pairs set, in each round anew."""
    rounds = [1 - float(curve.tar(fmr)) for curve in resampled(made, weights)]
    return Rate(1 - float(error_curve(made).tar(fmr)), np.array(rounds))


def not_found(side: Side, weights: Counts) -> Rate:
    """Share of the photos on which a side found no face."""
    identities, count = side.photos.identities, weights.shape[1]
    missing = np.bincount(identities[~side.photos.found], minlength=count)
    photos = np.bincount(identities, minlength=count)
    return Rate(
        float(missing.sum() / photos.sum()), np.asarray((weights @ missing) / (weights @ photos))
    )


def ratio(ours: Rate, theirs: Rate) -> Interval | None:
    """Our rate over theirs; nothing where theirs is 0, and rounds where it is are left out."""
    if not theirs.value:
        return None
    kept = theirs.rounds > 0
    return Rate(ours.value / theirs.value, ours.rounds[kept] / theirs.rounds[kept]).interval()
