"""Error rates of a set of comparisons, each with its 95 % interval by bootstrap over identities."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from pydantic import BaseModel

from app.domain.calibration import Calibration
from app.domain.errors import UnsupportedFmrError
from app.training.calibrate import MIN_FALSE_MATCHES, MIN_IDENTITY_PAIRS
from app.training.evaluation.curves import Comparisons, error_curve, resampled
from app.training.evaluation.intervals import (
    ROUNDS,
    ImpostorTrials,
    distinct_pairs,
    fnmr_interval,
    percentiles,
)
from app.training.metrics import Counts, Interval

FMRS: Final = (1e-2, 1e-3, 1e-4)
MAX_FMRS: Final = (0.01, 0.001)
"""Prices at which the bundle's own thresholds are tried."""


class OperatingRates(BaseModel):
    """What a threshold of the bundle costs on these comparisons.

    Attributes:
        max_fmr: The price asked for.
        threshold: The bundle's threshold for it with one reference.
        fmr: Observed share of false matches.
        fnmr: Observed share of genuine comparisons that did not match.
    """

    max_fmr: float
    threshold: float
    fmr: Interval
    fnmr: Interval


class RatesSection(BaseModel):
    """Rates of a set of comparisons.

    Attributes:
        genuine_pairs: Genuine comparisons, failed ones included.
        impostor_pairs: Impostor comparisons that were made.
        equal_error_rate: Where FMR and FNMR meet.
        tar_at_fmr: True accept rate at the threshold that these impostor comparisons set, by
            FMR; null where too few false matches support it. The interval counts the
            threshold's own uncertainty.
        at_max_fmr: Rates at the bundle's own thresholds, by `max_fmr`; null where the bundle
            does not support it.
    """

    genuine_pairs: int
    impostor_pairs: int
    equal_error_rate: Interval
    tar_at_fmr: dict[str, Interval | None]
    at_max_fmr: dict[str, OperatingRates | None]

    def rows(self) -> list[tuple[str, str]]:
        """Measure and value, for a table."""
        tars = [
            (f"TAR at FMR {fmr}", percent(tar) if tar else "unsupported: too few false matches")
            for fmr, tar in self.tar_at_fmr.items()
        ]
        return [
            ("genuine / impostor pairs", f"{self.genuine_pairs} / {self.impostor_pairs}"),
            ("EER", percent(self.equal_error_rate)),
            *tars,
            *(row for fmr, rates in self.at_max_fmr.items() for row in _operating_rows(fmr, rates)),
        ]


def measure_rates(
    comparisons: Comparisons,
    calibration: Calibration,
    *,
    seed: int,
    rounds: int = ROUNDS,
    fmrs: Sequence[float] = FMRS,
) -> RatesSection:
    """All rates of `comparisons`, of which there is at least one genuine and one impostor."""
    weights = comparisons.weights(rounds, seed)
    curve = error_curve(comparisons)
    drawn = [(c.equal_error_rate(), c.tar(fmrs)) for c in resampled(comparisons, weights)]
    tars = curve.tar(fmrs)
    people = len(np.unique(comparisons.owners))
    eer = curve.equal_error_rate()
    return RatesSection(
        genuine_pairs=len(comparisons.genuine),
        impostor_pairs=len(comparisons.impostor),
        equal_error_rate=percentiles(eer, [rate for rate, _ in drawn], people),
        tar_at_fmr={
            f"{fmr:g}": percentiles(float(tars[i]), [rates[i] for _, rates in drawn], people)
            if is_supported(comparisons, fmr)
            else None
            for i, fmr in enumerate(fmrs)
        },
        at_max_fmr=_at_max_fmrs(comparisons, calibration, weights),
    )


def is_supported(comparisons: Comparisons, fmr: float) -> bool:
    """Whether enough false matches, between enough people, stand behind the threshold at `fmr`."""
    if not len(comparisons.impostor):
        return False
    matched = comparisons.impostor >= error_curve(comparisons).thresholds_at(fmr)
    pairs = distinct_pairs(comparisons.first[matched], comparisons.second[matched])
    return int(np.count_nonzero(matched)) >= MIN_FALSE_MATCHES and pairs >= MIN_IDENTITY_PAIRS


def percent(rate: Interval) -> str:
    """A rate and its interval, for people."""
    return f"{rate.value:.2%} ({rate.low:.2%} to {rate.high:.2%})"


def _at_max_fmrs(
    comparisons: Comparisons, calibration: Calibration, weights: Counts
) -> dict[str, OperatingRates | None]:
    trials = ImpostorTrials.of(comparisons.first, comparisons.second, weights)
    found: dict[str, OperatingRates | None] = {}
    for max_fmr in MAX_FMRS:
        try:
            threshold = calibration.operating_point(max_fmr, 1).threshold
        except UnsupportedFmrError:
            found[f"{max_fmr:g}"] = None
            continue
        found[f"{max_fmr:g}"] = OperatingRates(
            max_fmr=max_fmr,
            threshold=threshold,
            fmr=trials.rate(comparisons.impostor >= np.float32(threshold)),
            fnmr=fnmr_interval(comparisons, threshold, weights),
        )
    return found


def _operating_rows(max_fmr: str, rates: OperatingRates | None) -> list[tuple[str, str]]:
    names = (f"FMR at max_fmr {max_fmr}", f"FNMR at max_fmr {max_fmr}")
    if rates is None:
        return [(name, "unsupported by the bundle") for name in names]
    fmr = rates.fmr
    return [
        (names[0], f"{fmr.value:.2g} ({fmr.low:.2g} to {fmr.high:.2g})"),
        (names[1], percent(rates.fnmr)),
    ]
