"""Two bundles on the same photos of the test side."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from app.domain.decisions import Decider
from app.domain.entities import Floats
from app.training.acceptance.sample import Flags, Indices, Sample
from app.training.acceptance.trials import TrialPlan, drawn_plan
from app.training.calibrate import MIN_FALSE_MATCHES, MIN_IDENTITY_PAIRS
from app.training.embedding_set import EmbeddingSet
from app.training.evaluation.curves import Comparisons, Rates
from app.training.evaluation.intervals import distinct_pairs
from app.training.metrics import Counts, bootstrap_weights, threshold_at_fmr

MOST_MULTIPLIED: Final = 3
"""References up to which galleries are weighted exactly: a quarter of them is in a resample."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A bundle, and what it made of the photos of a sample.

    Attributes:
        version: Its name.
        decider: Scores and fuses, and holds the calibration.
        photos: Every photo of the sample, in its order; its own numbers of identities don't count.
    """

    version: str
    decider: Decider
    photos: EmbeddingSet

    def subset(self, keep: Flags) -> "Contender":
        """With the photos where `keep` is true."""
        return replace(self, photos=self.photos.subset(keep))


@dataclass(frozen=True, slots=True)
class Contest:
    """The test side, embedded by both bundles.

    Attributes:
        sample: Photos of the test side.
        candidate: The new bundle.
        active: The bundle that it is held against.
    """

    sample: Sample
    candidate: Contender
    active: Contender

    @classmethod
    def of(cls, sample: Sample, candidate: Contender, active: Contender) -> "Contest":
        """The part of `sample` that is for testing.

        Raises:
            ValueError: If a bundle did not embed just the photos of the sample.
        """
        for contender in (candidate, active):
            if len(contender.photos.images) != len(sample):
                raise ValueError(f"{contender.version} embedded other photos than the sample's")
        tested = sample.subset(np.flatnonzero(sample.tested))
        return cls(tested, candidate.subset(sample.tested), active.subset(sample.tested))

    @property
    def contenders(self) -> tuple[Contender, Contender]:
        """The new bundle, and the active one."""
        return self.candidate, self.active

    @property
    def usable(self) -> Flags:
        """Which photos both can use; nothing else is a reference or an impostor probe."""
        return np.asarray(self.candidate.photos.usable & self.active.photos.usable)

    @property
    def subjects(self) -> Indices:
        """Whose genuine trials count: the owner's, or everybody's if there is none."""
        if self.sample.owner is not None:
            return np.array([self.sample.owner], np.intp)
        return np.unique(self.sample.people)

    def most_references(self) -> int:
        """References that leave at least as many groups to try: of the owner, or of ten people."""
        groups = self.group_counts(self.subjects)
        if self.sample.owner is None:
            groups = np.sort(groups)[::-1][:10][-1:]
        return int(groups.max(initial=0)) // 2

    def group_counts(self, people: Indices) -> Indices:
        """Groups of usable photos that each of `people` has."""
        kept = np.unique(
            np.stack([self.sample.people[self.usable], self.sample.groups[self.usable]], axis=1),
            axis=0,
        )
        return np.array([np.count_nonzero(kept[:, 0] == person) for person in people], np.intp)

    def plan(self, references: int, *, seed: int) -> TrialPlan:
        """Trials with so many references, the same for both bundles."""
        given = self.sample.owner is not None
        return drawn_plan(
            self.sample,
            self.usable,
            self.subjects,
            (references, references),
            draws=min(max(200 // references, 6), 60) if given else 4,
            seed=seed,
            limit=300_000,
        )

    def scores(self, plan: TrialPlan) -> tuple[Floats, Floats]:
        """Of the new bundle, and of the active one."""
        candidate, active = (
            plan.scores(self.sample, contender.photos, contender.decider)
            for contender in self.contenders
        )
        return candidate, active


@dataclass(frozen=True, slots=True)
class GivenSubjects(Comparisons):
    """Comparisons with subjects that are who they are: their photos and the impostors are a sample.

    What is resampled is numbered thus: groups of the subjects' photos, then the people who were
    tried as impostors. `owners` are groups of probes, `first` are galleries.

    Attributes:
        galleries: Gallery of each genuine comparison, shape (g,).
        members: Which groups each gallery's references are of, shape (galleries, groups).
    """

    galleries: Indices
    members: Flags

    def made(self) -> "GivenSubjects":
        """Without the genuine comparisons that failed."""
        kept = np.isfinite(self.genuine)
        return replace(
            self,
            genuine=self.genuine[kept],
            owners=self.owners[kept],
            galleries=self.galleries[kept],
        )

    def weights(self, rounds: int, seed: int) -> Counts:
        """How often each round draws each group and each impostor: shape (rounds, numbers)."""
        groups = self.members.shape[1]
        people = int(self.second.max(initial=groups - 1)) + 1 - groups
        parts = [
            bootstrap_weights(count, rounds, seed + i)
            for i, count in enumerate((groups, people))
            if count
        ]
        return np.concatenate(parts, axis=1)

    def weigh(self, drawn: Counts) -> tuple[Rates, Rates]:
        """As `Comparisons.weigh`; a gallery counts as its references were drawn.

        A resample holds a gallery as often as the product of its references' numbers says. With
        many references hardly any would be left, so there the product is taken to first order:
        `1 + sum(number - 1)`, at least 0.
        """
        gallery = self.sides(drawn)
        own = drawn[..., self.owners] * gallery[..., self.galleries]
        return own, gallery[..., self.first] * drawn[..., self.second]

    def sides(self, drawn: Counts) -> Rates:
        """How much each gallery counts in rounds of a bootstrap, shape (..., galleries)."""
        numbers = drawn[..., : self.members.shape[1]]
        members = self.members.T.astype(np.float64)
        if members.sum(axis=0).max(initial=0) <= MOST_MULTIPLIED:
            product = np.exp(np.log(np.maximum(numbers, 1)) @ members)
            return np.where((numbers == 0) @ members < 1, product, 0.0)
        return np.asarray(np.maximum((numbers - 1) @ members + 1, 0))


def comparisons(plan: TrialPlan, sample: Sample, scores: Floats, *, given: bool) -> Comparisons:
    """Scores of a plan with the numbers of what a bootstrap resamples.

    Args:
        plan: The trials.
        sample: Their photos.
        scores: Of one bundle, shape (n,).
        given: Whether the subjects are just these people, so that groups of their photos are
            resampled; otherwise people are.
    """
    genuine = plan.genuine(sample)
    probed = sample.people[plan.probes]
    if not given:
        numbers, claimed = len(plan), plan.claimed
        _, people = np.unique(np.concatenate([claimed, probed]), return_inverse=True)
        first, second = people[:numbers].astype(np.intp), people[numbers:].astype(np.intp)
        return Comparisons(
            scores[genuine], first[genuine], scores[~genuine], first[~genuine], second[~genuine]
        )
    own = np.isin(sample.people, plan.subjects)
    _, groups = np.unique(sample.groups[own], return_inverse=True)
    numbered = np.zeros(len(sample), np.intp)
    numbered[own] = groups
    members = np.zeros((len(plan.galleries), int(groups.max(initial=-1)) + 1), np.bool_)
    for gallery, rows in enumerate(plan.galleries):
        members[gallery, numbered[rows]] = True
    tried = np.repeat(np.arange(len(plan.galleries)), plan.counts)
    _, strangers = np.unique(probed[~genuine], return_inverse=True)
    return GivenSubjects(
        genuine=scores[genuine],
        owners=numbered[plan.probes[genuine]],
        impostor=scores[~genuine],
        first=tried[~genuine],
        second=(strangers + members.shape[1]).astype(np.intp),
        galleries=tried[genuine],
        members=members,
    )


def is_backed(plan: TrialPlan, sample: Sample, scores: Floats, fmr: float) -> bool:
    """Whether enough false matches between enough people stand behind the threshold at `fmr`.

    The same photo against another gallery of the same subject is no new evidence.
    """
    impostor = ~plan.genuine(sample)
    if not impostor.any():
        return False
    matched = impostor & (scores >= np.float32(threshold_at_fmr(scores[impostor], fmr)))
    claimed, probes = plan.claimed[matched], plan.probes[matched]
    if distinct(claimed, probes) < MIN_FALSE_MATCHES:
        return False
    return distinct_pairs(claimed, sample.people[probes]) >= MIN_IDENTITY_PAIRS


def distinct(first: Indices, second: Indices) -> int:
    """How many different pairs of numbers there are."""
    return len(np.unique(first * (int(second.max(initial=0)) + 1) + second))
