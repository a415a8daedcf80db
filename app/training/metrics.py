"""Error rates of a biometric comparison (ISO/IEC 19795), and their intervals.

Pairs that share a person are not independent, so intervals come from a bootstrap over
identities, not over pairs.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats

Counts = NDArray[np.float64]

_NORMAL: Final = NormalDist()


@dataclass(frozen=True, slots=True)
class Interval:
    """A rate and its 95 % interval."""

    value: float
    low: float
    high: float


def threshold_at_fmr(impostor: Floats, target: float) -> float:
    """The lowest threshold at which at most `target` of the impostor scores reach it.

    A score matches when it is at or above the threshold.
    """
    allowed = int(np.floor(target * len(impostor) + 1e-9))
    if allowed >= len(impostor):
        return float(impostor.min())
    # The (allowed + 1)-th largest score must not match.
    edge = float(np.partition(impostor, len(impostor) - allowed - 1)[len(impostor) - allowed - 1])
    return float(np.nextafter(np.float32(edge), np.float32(np.inf)))


def tar_at_fmr(genuine: Floats, impostor: Floats, target: float) -> float:
    """True accept rate at the threshold of `threshold_at_fmr`."""
    return float(np.mean(genuine >= threshold_at_fmr(impostor, target)))


def equal_error_rate(genuine: Floats, impostor: Floats) -> float:
    """The rate at which FMR and FNMR meet, or the middle of the two where they are closest."""
    thresholds = np.unique(np.concatenate([genuine, impostor, [np.inf]]))
    fnmr = np.searchsorted(np.sort(genuine), thresholds, side="left") / len(genuine)
    fmr = 1 - np.searchsorted(np.sort(impostor), thresholds, side="left") / len(impostor)
    meet = int(np.argmin(np.abs(fnmr - fmr)))
    return float((fnmr[meet] + fmr[meet]) / 2)


def bootstrap_weights(identities: int, rounds: int, seed: int) -> Counts:
    """How often each identity is drawn in each round, shape (rounds, identities)."""
    generator = np.random.default_rng(seed)
    share = np.full(identities, 1 / identities)
    return generator.multinomial(identities, share, size=rounds).astype(np.float64)


def pair_rate_interval(hits: Counts, trials: Counts, weights: Counts) -> Interval:
    """Rate of hits over trials between two identities, resampling identities.

    With few or no hits no resampling can show what was not seen, so the upper end is at least that
    of no hit in as many independent trials as there are pairs of identities.

    Args:
        hits: Hits between each two identities, shape (identities, identities).
        trials: Trials between each two identities, shape (identities, identities).
        weights: From `bootstrap_weights`.
    """
    drawn = np.einsum("ri,ri->r", weights @ hits, weights)
    made = np.einsum("ri,ri->r", weights @ trials, weights)
    own_hits = hits.sum(axis=0) + hits.sum(axis=1)
    own_trials = trials.sum(axis=0) + trials.sum(axis=1)
    found = bca_interval((hits.sum(), trials.sum()), (drawn, made), (own_hits, own_trials))
    unseen = -np.log(0.025) / max(np.count_nonzero(trials + trials.T) / 2, 1)
    return Interval(found.value, found.low, max(found.high, min(1.0, float(unseen))))


def identity_rate_interval(hits: Counts, trials: Counts, weights: Counts) -> Interval:
    """Rate of hits over trials within identities, shapes (identities,), resampling identities."""
    return bca_interval(
        (hits.sum(), trials.sum()), (weights @ hits, weights @ trials), (hits, trials)
    )


def bca_interval(
    total: tuple[float, float], drawn: tuple[Counts, Counts], own: tuple[Counts, Counts]
) -> Interval:
    """Bias-corrected and accelerated bootstrap interval of a rate.

    Error rates over few identities are skewed, and plain percentiles would end too low (Efron,
    "Better bootstrap confidence intervals", 1987).

    Args:
        total: Hits and trials of all identities.
        drawn: Hits and trials of each round.
        own: Hits and trials that each identity takes part in.
    """
    rate = _ratio(*total)
    rates = np.sort(_ratio(*drawn))
    without = _ratio(total[0] - own[0], total[1] - own[1])
    spread = without.mean() - without
    acceleration = (spread**3).sum() / max(6 * float((spread**2).sum()) ** 1.5, 1e-300)
    below = np.clip((np.count_nonzero(rates < rate) + 0.5) / (len(rates) + 1), 0.01, 0.99)
    bias = _NORMAL.inv_cdf(float(below))
    ends = []
    for end in (0.025, 0.975):
        shifted = bias + _NORMAL.inv_cdf(end)
        share = _NORMAL.cdf(bias + shifted / max(1 - acceleration * shifted, 1e-6))
        ends.append(float(np.quantile(rates, share)))
    return Interval(float(rate), min(ends[0], float(rate)), max(ends[1], float(rate)))


def for_others(rate: Interval) -> Interval:
    """Where the rate of another group of as many people lies, from the interval of this group's.

    The other group is as much a sample as this one, so the variances add up: each end is moved
    away by the square root of two, on a logarithmic scale, because rates are skewed.
    """
    if not rate.value:
        return rate
    low, high = (rate.value * (end / rate.value) ** math.sqrt(2) for end in (rate.low, rate.high))
    return Interval(rate.value, low, min(high, 1.0))


def _ratio(hits: Any, trials: Any) -> Any:
    return hits / np.maximum(trials, 1e-12)
