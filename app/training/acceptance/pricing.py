"""Calibration of a bundle that was trained for one person (docs/adr/0013).

Impostors are people whom the network never saw. What they set a threshold by is not what its error
is counted on: a fifth of them at a time is judged by the threshold that the others set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from app.domain.calibration import BUCKETS, Buckets, Calibration, OperatingPoint
from app.domain.decisions import Decider
from app.domain.entities import Floats
from app.training.acceptance.sample import Flags, Indices, Sample
from app.training.acceptance.trials import TrialPlan, drawn_plan
from app.training.calibrate import (
    MIN_IDENTITY_PAIRS,
    ROUNDS,
    Thresholds,
    operating_points,
    priced_points,
)
from app.training.embedding_set import EmbeddingSet
from app.training.evaluation.curves import FAILED
from app.training.metrics import (
    Interval,
    bootstrap_weights,
    identity_rate_interval,
    threshold_at_fmr,
)
from app.training.trials import Trials

FOLDS: Final = 5
MOST_PEOPLE: Final = 800
"""Other people that are tried against one another; intervals need memory for each pair of them."""

_OWN_DRAWS: Final = {"1": 60, "2": 60, "3-5": 50, "6-10": 25, "11+": 10}
_DRAWS: Final = {"1": 4, "2": 4, "3-5": 6, "6-10": 8, "11+": 8}

NOBODY: Final = Calibration({})
"""Of a bundle that prices nothing yet."""


def calibrate_owner(
    sample: Sample, photos: EmbeddingSet, decider: Decider, *, subject: str | None, seed: int
) -> Calibration:
    """Price thresholds for the owner, and for everyone else as far as other people allow it.

    Args:
        sample: Photos that the network was not trained on.
        photos: Each of them as the exported network embeds it.
        decider: Scores and fuses; its calibration is not used.
        subject: Key of the subject that the owner is. Without an owner in `sample` the calibration
            is for everybody.
        seed: Of drawing galleries, folds and bootstrap.
    """
    others, backing = _others(sample, photos, decider, seed=seed)
    if sample.owner is None:
        return Calibration(others)
    buckets: dict[str, Sequence[OperatingPoint]] = {}
    smaller: dict[float, Thresholds] = {}
    for bucket in BUCKETS:
        plan = _owner_plan(sample, photos, bucket, seed=seed)
        trials = OwnerTrials.of(plan, sample, plan.scores(sample, photos, decider), seed=seed)
        priced = (
            priced_points(trials.thresholds, trials.point, smaller, backing.get(bucket, {}))
            if trials
            else []
        )
        buckets[bucket] = [trials.widened(point) for point, _ in priced] if trials else []
        smaller |= {point.target_fmr: thresholds for point, thresholds in priced}
    return Calibration(buckets, subject=subject, others=others)


def _owner_plan(sample: Sample, photos: EmbeddingSet, bucket: str, *, seed: int) -> TrialPlan:
    """Galleries of the owner's test photos; of all photos if those are too few for the bucket.

    What was trained on may then be a reference, as it is for an owner who enrols the photos of
    `anchor`, but never a probe.
    """
    owner = np.array([sample.owner], np.intp)
    for source in (sample, replace(sample, tested=np.ones(len(sample), np.bool_))):
        plan = drawn_plan(
            source,
            photos.usable,
            owner,
            BUCKETS[bucket],
            draws=_OWN_DRAWS[bucket],
            seed=seed,
        )
        plan = _only(plan, ~plan.genuine(sample) | sample.tested[plan.probes])
        if plan.genuine(sample).any():
            break
    return plan


def _others(
    sample: Sample, photos: EmbeddingSet, decider: Decider, *, seed: int
) -> tuple[Buckets, Mapping[str, Mapping[float, Thresholds]]]:
    """Operating points for people other than the owner, and the thresholds that they support.

    An FNMR takes people with two photos. If there are too few of them, only the thresholds are
    known, which is enough to back the owner's.
    """
    crowd = _some_people(sample, photos, seed=seed)
    usable = photos.usable & np.isin(sample.people, crowd)
    buckets: dict[str, Sequence[OperatingPoint]] = {}
    backing: dict[str, Mapping[float, Thresholds]] = {}
    smaller: dict[float, float] = {}
    for bucket, references in BUCKETS.items():
        plan = drawn_plan(sample, usable, crowd, references, draws=_DRAWS[bucket], seed=seed)
        found = plan.scores(sample, photos, decider)
        genuine = plan.genuine(sample)
        points = operating_points(trials_of(plan, sample, found), smaller, seed=seed)
        smaller |= {point.target_fmr: point.threshold for point in points}
        backing[bucket] = {
            point.target_fmr: np.full(FOLDS + 1, point.threshold) for point in points
        }
        tried = len(np.unique(plan.claimed[genuine]))
        buckets[bucket] = points if tried >= MIN_IDENTITY_PAIRS else ()
    return buckets, backing


def _some_people(sample: Sample, photos: EmbeddingSet, *, seed: int) -> Indices:
    """Everyone but the owner; if they are many, those with most photos, and others at random."""
    kept = sample.strangers & photos.usable
    people, counts = np.unique(sample.people[kept], return_counts=True)
    order = np.lexsort((np.random.default_rng(seed).permutation(len(people)), -counts))
    return np.sort(people[order[:MOST_PEOPLE]]).astype(np.intp)


def _only(plan: TrialPlan, kept: Flags) -> TrialPlan:
    """The trials where `kept` is true."""
    galleries = np.repeat(np.arange(len(plan.galleries)), plan.counts)
    counts = np.bincount(galleries[kept], minlength=len(plan.galleries)).astype(np.intp)
    return replace(plan, counts=counts, probes=plan.probes[kept])


def trials_of(plan: TrialPlan, sample: Sample, scores: Floats) -> Trials:
    """The trials in the form that bundles for everybody are calibrated by."""
    # Numbered without gaps: intervals need memory for each pair of people.
    numbers, people = np.unique(
        np.concatenate([plan.claimed, sample.people[plan.probes]]), return_inverse=True
    )
    claimed, probed = people[: len(plan)].astype(np.intp), people[len(plan) :].astype(np.intp)
    failed = scores <= FAILED
    return Trials(
        scores=scores[~failed],
        subjects=claimed[~failed],
        probes=probed[~failed],
        photos=plan.probes[~failed],
        failures=np.bincount(claimed[failed], minlength=len(numbers)).astype(np.intp),
    )


@dataclass(frozen=True, slots=True)
class OwnerTrials:
    """Trials against galleries of one person.

    Attributes:
        genuine: Scores of the owner's photos, shape (g,); `FAILED` where a photo can't be used.
        groups: Group of each of them, from 0 without gaps, shape (g,).
        impostor: Scores of other people's photos, shape (n,).
        strangers: Person of each of them, from 0 without gaps, shape (n,).
        photos: Row of each of them in the sample, shape (n,).
        folds: Fold of each of them, in 0..`FOLDS` - 1, shape (n,); a person is in one fold.
        seed: Of the bootstrap.
    """

    genuine: Floats
    groups: Indices
    impostor: Floats
    strangers: Indices
    photos: Indices
    folds: Indices
    seed: int

    @classmethod
    def of(
        cls, plan: TrialPlan, sample: Sample, scores: Floats, *, seed: int
    ) -> "OwnerTrials | None":
        """The trials of a plan about the owner; None without genuine or impostor trials."""
        genuine = plan.genuine(sample)
        if not genuine.any() or genuine.all():
            return None
        _, groups = np.unique(sample.groups[plan.probes[genuine]], return_inverse=True)
        people, strangers = np.unique(sample.people[plan.probes[~genuine]], return_inverse=True)
        folds = np.random.default_rng(seed).permutation(len(people)) % FOLDS
        return cls(
            genuine=scores[genuine],
            groups=groups.astype(np.intp),
            impostor=scores[~genuine],
            strangers=strangers.astype(np.intp),
            photos=plan.probes[~genuine],
            folds=folds[strangers].astype(np.intp),
            seed=seed,
        )

    def thresholds(self, target: float) -> Thresholds:
        """The threshold at `target`, and after it those that are set without a fold each."""
        parts = [self.impostor, *(self._without(fold) for fold in range(FOLDS))]
        return np.array([threshold_at_fmr(part, target) for part in parts])

    def point(self, target: float, thresholds: Thresholds) -> OperatingPoint:
        """The rates at thresholds, each with its interval for such photos and such people."""
        false = self.impostor >= thresholds[1:][self.folds]
        fmr = _rate(self.strangers, false, self.seed)
        fnmr = _rate(self.groups, self.genuine < thresholds[0], self.seed)
        return OperatingPoint(
            target_fmr=target,
            threshold=float(thresholds[0]),
            fmr=fmr.value,
            fmr_interval=(fmr.low, fmr.high),
            fnmr=fnmr.value,
            fnmr_interval=(fnmr.low, fnmr.high),
            # The draws overlap: the same photo against another gallery is no new evidence.
            false_matches=len(np.unique(self.photos[false])),
            identity_pairs=len(np.unique(self.strangers[false])),
        )

    def widened(self, point: OperatingPoint) -> OperatingPoint:
        """A priced point, whose rates end no lower than what so few units can rule out.

        Nothing that was not seen can be resampled. This comes last: were the interval for other
        people taken from an end that was raised already, a single event would stretch it to
        several times that of none.
        """
        strangers, groups = (1 + int(units.max()) for units in (self.strangers, self.groups))
        return replace(
            point,
            fmr_interval=_at_least_unseen(point.fmr_interval, strangers),
            fnmr_interval=_at_least_unseen(point.fnmr_interval, groups),
        )

    def _without(self, fold: int) -> Floats:
        """Scores of the people outside a fold; of all where a fold has everybody."""
        outside: Flags = self.folds != fold
        return self.impostor[outside] if outside.any() else self.impostor


def _rate(units: Indices, hits: Flags, seed: int) -> Interval:
    """Share of hits, resampling units."""
    count = int(units.max()) + 1
    own = np.bincount(units, hits, minlength=count).astype(np.float64)
    made = np.bincount(units, minlength=count).astype(np.float64)
    return identity_rate_interval(own, made, bootstrap_weights(count, ROUNDS, seed))


def _at_least_unseen(interval: tuple[float, float], units: int) -> tuple[float, float]:
    """No lower an upper end than that of no hit in as many independent trials as units."""
    return interval[0], max(interval[1], min(1.0, float(-np.log(0.025)) / units))
