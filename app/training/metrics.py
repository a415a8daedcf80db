"""Error rates of a biometric comparison (ISO/IEC 19795), and their intervals.

Pairs that share a person are not independent, so intervals come from a bootstrap over
identities, not over pairs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats

Counts = NDArray[np.float64]


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
    """The rate at which FMR and FNMR meet."""
    scores = np.concatenate([genuine, impostor])
    order = np.argsort(scores, kind="stable")
    is_genuine = np.arange(len(scores))[order] < len(genuine)
    fnmr = np.cumsum(is_genuine) / len(genuine)
    fmr = 1 - np.cumsum(~is_genuine) / len(impostor)
    meet = int(np.argmin(np.abs(fnmr - fmr)))
    return float((fnmr[meet] + fmr[meet]) / 2)


def bootstrap_weights(identities: int, rounds: int, seed: int) -> Counts:
    """How often each identity is drawn in each round, shape (rounds, identities)."""
    generator = np.random.default_rng(seed)
    share = np.full(identities, 1 / identities)
    return generator.multinomial(identities, share, size=rounds).astype(np.float64)


def pair_rate_interval(
    hits: tuple[NDArray[np.intp], NDArray[np.intp]], trials: Counts, weights: Counts
) -> Interval:
    """Rate of hits over trials between two identities, resampling identities.

    Args:
        hits: Identities (one side, other side) of each hit.
        trials: Trials between each two identities, shape (identities, identities).
        weights: From `bootstrap_weights`.
    """
    first, second = hits
    drawn = np.einsum("rh,rh->r", weights[:, first], weights[:, second])
    made = np.einsum("ri,ri->r", weights @ trials, weights)
    rates = drawn / np.maximum(made, 1e-12)
    low, high = np.percentile(rates, [2.5, 97.5])
    return Interval(len(first) / max(float(trials.sum()), 1e-12), float(low), float(high))


def identity_rate_interval(hits: Counts, trials: Counts, weights: Counts) -> Interval:
    """Rate of hits over trials within identities, shapes (identities,), resampling identities."""
    rates = (weights @ hits) / np.maximum(weights @ trials, 1e-12)
    low, high = np.percentile(rates, [2.5, 97.5])
    return Interval(float(hits.sum() / max(trials.sum(), 1e-12)), float(low), float(high))
