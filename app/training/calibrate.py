"""Pricing thresholds: FNMR at each FMR per bucket of reference counts, with intervals.

Intervals are for other people (docs/adr/0011).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.calibration import BUCKETS, Calibration, OperatingPoint
from app.domain.decisions import Decider
from app.training.embedding_set import EmbeddingSet
from app.training.metrics import (
    Counts,
    Interval,
    bootstrap_weights,
    for_others,
    identity_rate_interval,
    pair_rate_interval,
    threshold_at_fmr,
)
from app.training.trials import Indices, Trials, bucket_trials

TARGETS: Final = (0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 5e-4, 2e-4, 1e-4, 5e-5, 2e-5, 1e-5)

MIN_FALSE_MATCHES: Final = 30
MIN_IDENTITY_PAIRS: Final = 10
"""An FMR is supported with this many distinct false matches from this many pairs of identities."""

Thresholds = NDArray[np.float64]
"""The threshold that serves, and after it those that are set without some of the people: where
errors are counted at the latter, a person's trials do not choose what they are judged by."""

ROUNDS: Final = 1000
DRAWS: Final = {"1": 6, "2": 6, "3-5": 10, "6-10": 20, "11+": 20}
"""Galleries drawn per bucket: more where fewer identities have enough photos."""


def calibrate(
    photos: EmbeddingSet,
    decider: Decider,
    *,
    seed: int,
    progress: Callable[[str], None] = lambda _: None,
) -> Calibration:
    """Calibrate the fused score on identities that nothing was trained on.

    Args:
        photos: Validation photos, embedded by the exported network.
        decider: Scores and fuses; its calibration is not used.
        seed: Of drawing galleries and of the bootstrap.
        progress: Told the name of each bucket.
    """
    buckets = {}
    smaller: dict[float, float] = {}
    for bucket in BUCKETS:
        progress(bucket)
        trials = bucket_trials(photos, decider, bucket, draws=DRAWS[bucket], seed=seed)
        buckets[bucket] = operating_points(trials, smaller, seed=seed)
        smaller |= {point.target_fmr: point.threshold for point in buckets[bucket]}
    return Calibration(buckets)


def operating_points(
    trials: Trials, smaller: Mapping[float, float], *, seed: int
) -> tuple[OperatingPoint, ...]:
    """The supported operating points of a bucket, from lax to strict.

    Few identities have many photos, and which ones happen to be among them moves the rates more
    than the reference count does. So more references never make a threshold laxer, and a rate
    that the bucket of fewer references supports stays supported, at a threshold no laxer.

    Args:
        trials: Of this bucket.
        smaller: Threshold by target of the bucket of fewer references.
        seed: Of the bootstrap.
    """
    impostor = trials.scores[~trials.genuine]
    if not len(impostor):
        return ()
    weights = bootstrap_weights(len(trials.failures), ROUNDS, seed)
    priced = priced_points(
        lambda target: np.array([threshold_at_fmr(impostor, target)]),
        lambda target, thresholds: measured_point(trials, weights, target, float(thresholds[0])),
        {target: np.array([threshold]) for target, threshold in smaller.items()},
    )
    return tuple(point for point, _ in priced)


def priced_points(
    own: Callable[[float], Thresholds],
    measure: Callable[[float, Thresholds], OperatingPoint],
    smaller: Mapping[float, Thresholds],
    backing: Mapping[float, Thresholds] = MappingProxyType({}),
) -> list[tuple[OperatingPoint, Thresholds]]:
    """The supported operating points of a bucket, from lax to strict, with their thresholds.

    Args:
        own: The thresholds that this bucket's impostor trials set at a target.
        measure: The rates at thresholds.
        smaller: Thresholds by target of the bucket of fewer references.
        backing: Thresholds by target that other people's trials support; they carry a target that
            neither this bucket nor the one of fewer references supports.
    """
    points: list[tuple[OperatingPoint, Thresholds]] = []
    for target in TARGETS:
        thresholds = own(target)
        if target in smaller:
            thresholds = np.maximum(thresholds, smaller[target])
        point = measure(target, thresholds)
        supported = (
            point.false_matches >= MIN_FALSE_MATCHES and point.identity_pairs >= MIN_IDENTITY_PAIRS
        )
        if not supported and target in backing:
            thresholds = np.maximum(thresholds, backing[target])
            point = measure(target, thresholds)
        elif not supported and target not in smaller:
            break
        points.append((_stated(replace(point, inherited=not supported)), thresholds))
    return points


def _stated(point: OperatingPoint) -> OperatingPoint:
    """The point with intervals for other people: those are whom it will be used on."""
    fmr = for_others(Interval(point.fmr, *point.fmr_interval))
    fnmr = for_others(Interval(point.fnmr, *point.fnmr_interval))
    return replace(point, fmr_interval=(fmr.low, fmr.high), fnmr_interval=(fnmr.low, fnmr.high))


def measured_point(
    trials: Trials, weights: Counts, target: float, threshold: float
) -> OperatingPoint:
    """The rates at a threshold, with intervals by the bootstrap `weights`."""
    identities = len(trials.failures)
    matched = trials.scores >= threshold
    false = matched & ~trials.genuine
    fmr = pair_rate_interval(
        _pair_counts(trials, false), _pair_counts(trials, ~trials.genuine), weights
    )
    missed = np.bincount(trials.subjects[~matched & trials.genuine], minlength=identities)
    tried = np.bincount(trials.subjects[trials.genuine], minlength=identities)
    fnmr = identity_rate_interval(
        (missed + trials.failures).astype(np.float64),
        (tried + trials.failures).astype(np.float64),
        weights,
    )
    subjects, probes = trials.subjects[false], trials.probes[false]
    return OperatingPoint(
        target_fmr=target,
        threshold=threshold,
        fmr=fmr.value,
        fmr_interval=(fmr.low, fmr.high),
        fnmr=fnmr.value,
        fnmr_interval=(fnmr.low, fnmr.high),
        # The draws overlap: the same photo against another choice of references is no new evidence.
        false_matches=_distinct(subjects, trials.photos[false]),
        identity_pairs=_distinct(np.minimum(subjects, probes), np.maximum(subjects, probes)),
    )


def _distinct(first: Indices, second: Indices) -> int:
    return len(np.unique(np.stack([first, second], axis=1), axis=0))


def _pair_counts(trials: Trials, chosen: NDArray[np.bool_]) -> Counts:
    """Trials between each two identities, shape (identities, identities)."""
    identities = len(trials.failures)
    flat = trials.subjects[chosen] * identities + trials.probes[chosen]
    counts = np.bincount(flat, minlength=identities * identities)
    return counts.reshape(identities, identities).astype(np.float64)
