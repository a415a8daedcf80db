"""FMR and FNMR at every threshold, and how far they spread over identities.

Everything here takes scores and the numbers of the identities behind them, so it serves any
comparison: pairs of photos, photos against galleries, degraded probes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats
from app.training.calibrate import MIN_FALSE_MATCHES
from app.training.metrics import Counts, bootstrap_weights

Indices = NDArray[np.intp]
Rates = NDArray[np.float64]

FAILED: Final = -np.inf
"""Score of a genuine comparison with a photo that could not be used; it never matches."""


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Scores, and whose photos were compared.

    A comparison of strangers in which a photo could not be used is not made, so it is not in here:
    an FMR is over the comparisons that were made (ISO/IEC 19795-1).

    Attributes:
        genuine: Shape (g,); `FAILED` where a photo could not be used.
        owners: Identity of each genuine comparison, shape (g,).
        impostor: Shape (i,).
        first: Identity of one side of each impostor comparison, shape (i,).
        second: Identity of the other side, shape (i,).
    """

    genuine: Floats
    owners: Indices
    impostor: Floats
    first: Indices
    second: Indices

    def made(self) -> "Comparisons":
        """Without the genuine comparisons that failed."""
        kept = self.genuine > FAILED
        return Comparisons(
            self.genuine[kept], self.owners[kept], self.impostor, self.first, self.second
        )

    def weights(self, rounds: int, seed: int) -> Counts:
        """How often a bootstrap over identities draws each: shape (rounds, identities)."""
        numbers = [int(n.max()) for n in (self.owners, self.first, self.second) if len(n)]
        return bootstrap_weights(max(numbers, default=-1) + 1, rounds, seed)

    def weigh(self, drawn: Counts) -> tuple[Rates, Rates]:
        """How much genuine and impostor comparisons count in rounds of a bootstrap.

        Args:
            drawn: Rows of `weights`, shape (..., identities).

        Returns:
            Shapes (..., g) and (..., i).
        """
        return drawn[..., self.owners], drawn[..., self.first] * drawn[..., self.second]


@dataclass(frozen=True, slots=True)
class ErrorCurve:
    """FMR and FNMR as functions of the threshold; a score at the threshold matches.

    Attributes:
        genuine: Scores in ascending order, shape (g,).
        impostor: Scores in ascending order, shape (i,).
        missed: Share of the genuine comparisons before each position, shape (g + 1,).
        matched: Share of the impostor comparisons from each position on, shape (i + 1,).
    """

    genuine: Floats
    impostor: Floats
    missed: Rates
    matched: Rates

    def fmr(self, thresholds: Any) -> Any:
        """False match rate at each threshold."""
        at = np.asarray(thresholds, np.float32)
        return self.matched[np.searchsorted(self.impostor, at, side="left")]

    def fnmr(self, thresholds: Any) -> Any:
        """False non-match rate at each threshold."""
        at = np.asarray(thresholds, np.float32)
        return self.missed[np.searchsorted(self.genuine, at, side="left")]

    def thresholds_at(self, fmrs: Any) -> Floats:
        """The lowest threshold at which the FMR does not exceed each target."""
        targets = np.asarray(fmrs, np.float64) * (1 + 1e-9)
        within = np.searchsorted(self.matched[::-1], targets, side="right")
        position = np.maximum(len(self.matched) - within, 0)
        # Just above the highest score that must not match; ties with it don't match either.
        barred = self.impostor[np.maximum(position - 1, 0)]
        above = np.nextafter(barred, np.float32(np.inf))
        lowest = np.where(position == 0, self.impostor[0], above)
        return np.asarray(lowest, np.float32)

    def tar(self, fmrs: Any) -> Any:
        """True accept rate at the thresholds of `thresholds_at`."""
        return 1 - self.fnmr(self.thresholds_at(fmrs))

    def equal_error_rate(self) -> float:
        """Where FMR and FNMR meet, or the middle of the two where they are closest."""
        thresholds = np.append(np.concatenate([self.genuine, self.impostor]), np.float32(np.inf))
        thresholds.sort()
        low, high = 0, len(thresholds) - 1
        while low < high:  # the difference FNMR - FMR never falls as the threshold rises
            middle = (low + high) // 2
            if self.fnmr(thresholds[middle]) >= self.fmr(thresholds[middle]):
                high = middle
            else:
                low = middle + 1
        near = thresholds[[max(low - 1, 0), low]]
        fmr, fnmr = self.fmr(near), self.fnmr(near)
        meet = int(np.argmin(np.abs(fnmr - fmr)))
        return float((fmr[meet] + fnmr[meet]) / 2)


def error_curve(comparisons: Comparisons) -> ErrorCurve:
    """The curve of the comparisons as they are."""
    genuine, impostor = np.sort(comparisons.genuine), np.sort(comparisons.impostor)
    return ErrorCurve(
        genuine, impostor, _missed(np.ones(len(genuine))), _matched(np.ones(len(impostor)))
    )


def resampled(comparisons: Comparisons, weights: Counts) -> Iterator[ErrorCurve]:
    """The curve of each bootstrap round: a pair counts as often as its identities are drawn.

    Rounds that drew no genuine or no impostor comparison are left out.

    Args:
        comparisons: What is resampled.
        weights: From `Comparisons.weights`.
    """
    by_genuine, by_impostor = np.argsort(comparisons.genuine), np.argsort(comparisons.impostor)
    genuine, impostor = comparisons.genuine[by_genuine], comparisons.impostor[by_impostor]
    for drawn in weights:
        own, strangers = comparisons.weigh(drawn)
        if own.any() and strangers.any():
            missed, matched = _missed(own[by_genuine]), _matched(strangers[by_impostor])
            yield ErrorCurve(genuine, impostor, missed, matched)


def _missed(weights: Rates) -> Rates:
    before = np.concatenate([[0.0], np.cumsum(weights)])
    return np.asarray(before / weights.sum(), np.float64)


def _matched(weights: Rates) -> Rates:
    after = np.concatenate([[0.0], np.cumsum(weights[::-1])])[::-1]
    return np.asarray(after / weights.sum(), np.float64)


@dataclass(frozen=True, slots=True)
class RateCurve:
    """FNMR over FMR for a ROC or DET plot, with the pointwise 95 % band of the bootstrap.

    Attributes:
        fmr: Ascending, shape (p,).
        fnmr: At the threshold of each FMR, shape (p,).
        low: Lower end of the band, shape (p,).
        high: Upper end of the band, shape (p,).
        supported: The FMR that is backed by as many false matches as a calibration demands.
    """

    fmr: Rates
    fnmr: Rates
    low: Rates
    high: Rates
    supported: float


def rate_curve(comparisons: Comparisons, *, rounds: int, seed: int, points: int = 200) -> RateCurve:
    """The curve from the FMR of a single false match up to 1.

    Args:
        comparisons: At least one genuine and one impostor comparison.
        rounds: Of the bootstrap over identities.
        seed: Of the bootstrap.
        points: How many FMRs, evenly spaced in their logarithm.
    """
    fmr = np.geomspace(1 / len(comparisons.impostor), 1, points)
    weights = comparisons.weights(rounds, seed)
    fnmr = 1 - error_curve(comparisons).tar(fmr)
    drawn = [1 - curve.tar(fmr) for curve in resampled(comparisons, weights)] or [fnmr]
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    supported = MIN_FALSE_MATCHES / len(comparisons.impostor)
    return RateCurve(fmr, fnmr, np.minimum(low, fnmr), np.maximum(high, fnmr), supported)
