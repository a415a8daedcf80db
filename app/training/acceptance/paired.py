"""How two bundles' FNMR at the same FMR differ on the same trials, and whether it is chance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np

from app.training.acceptance.contest import Contest, comparisons, is_backed
from app.training.acceptance.crowd import Crowd, crowd_of, crowd_pairs
from app.training.acceptance.rounds import fnmr_rounds
from app.training.acceptance.trials import TrialPlan
from app.training.calibrate import TARGETS
from app.training.evaluation.curves import Comparisons, Rates, error_curve
from app.training.evaluation.intervals import percentiles
from app.training.metrics import Interval

ROUNDS: Final = 1000
FLIPS: Final = 4000
LEVEL: Final = 0.025
"""Chance of either error where there is no difference: the interval has 95 %."""
MIN_PEOPLE: Final = 10
"""With fewer people the photos are resampled instead: there the subjects are just these people."""


@dataclass(frozen=True, slots=True)
class PairedResult:
    """FNMR of two bundles, each at its own threshold at an FMR.

    Attributes:
        fmr: The FMR.
        candidate: FNMR of the new bundle.
        active: FNMR of the active one.
        difference: FNMR of the new bundle less that of the active one.
        chance: How likely so large a difference is, in its direction, if each of `units` had been
            as likely to differ the other way round.
        units: Groups of photos, or people, that were resampled.
        people: Impostor people.
        trials: Genuine trials.
        pairs: Pairs of other people that backed the thresholds; 0 where the impostors of the trials
            did so alone.
    """

    fmr: float
    candidate: Interval
    active: Interval
    difference: Interval
    chance: float
    units: int
    people: int
    trials: int
    pairs: int

    @property
    def lower(self) -> bool:
        """Whether the new bundle's FNMR is lower, and not by chance."""
        return self.difference.high < 0 and self.chance <= LEVEL

    @property
    def higher(self) -> bool:
        """Whether the new bundle's FNMR is higher, and not by chance."""
        return self.difference.low > 0 and self.chance <= LEVEL

    @property
    def suspect(self) -> bool:
        """Whether the new bundle's FNMR is higher, and random signs hardly ever do that.

        For those who must not lose, who may be a few: the interval of a handful of photos is so
        wide that it would let half of them be turned away.
        """
        return self.difference.value > 0 and self.chance <= LEVEL


@dataclass(frozen=True, slots=True)
class Target:
    """At which FMR two bundles can be compared.

    Attributes:
        fmr: The FMR.
        crowds: Of the new bundle and of the active one, where it takes other people's trials
            against one another to back it; None where the trials' own impostors do.
    """

    fmr: float
    crowds: tuple[Crowd, Crowd] | None = None


def backed_target(contest: Contest, plan: TrialPlan, max_fmr: float, *, seed: int) -> Target | None:
    """`max_fmr`, or the strictest laxer target, that has enough false matches for both bundles.

    Against one owner there are as many impostor photos as the test side has, and few of them
    match. What they can't support, the pairs of strangers may, of whom there are many more: the
    threshold is then the stricter of the two, as in the calibration.
    """
    scores = contest.scores(plan)
    crowds = _crowds(contest, plan, seed=seed)
    for fmr in _targets(max_fmr):
        if all(is_backed(plan, contest.sample, each, fmr) for each in scores):
            return Target(fmr)
        if crowds and all(crowd.backs(fmr) for crowd in crowds):
            return Target(fmr, crowds)
    return None


def _targets(max_fmr: float) -> Sequence[float]:
    return (max_fmr, *sorted(target for target in TARGETS if target > max_fmr))


def _crowds(contest: Contest, plan: TrialPlan, *, seed: int) -> tuple[Crowd, Crowd] | None:
    """Pairs of the strangers who were tried; None where the bundle has no owner."""
    if contest.sample.owner is None:
        return None
    impostor = ~plan.genuine(contest.sample)
    people = np.unique(contest.sample.people[plan.probes[impostor]])
    groups = len(np.unique(contest.sample.groups[contest.sample.people == contest.sample.owner]))
    pairs = crowd_pairs(contest, people, groups, seed=seed)
    return crowd_of(contest.candidate, pairs), crowd_of(contest.active, pairs)


def compare_at(
    contest: Contest,
    plan: TrialPlan,
    target: Target,
    *,
    given: bool,
    seed: int,
    rounds: int = ROUNDS,
) -> PairedResult:
    """Paired bootstrap over the same draws of photos and people for both bundles.

    A bootstrap over few units promises too much: where one bundle misses four photos more than the
    other, and no other photo differs, 98 of 100 rounds draw at least one of the four, though a fair
    coin shows as much once in sixteen times. So the signs of the units' differences are
    flipped at random too (Fisher's randomisation test), and a difference is real if both say so.

    Args:
        contest: The bundles.
        plan: Trials, at least one genuine and one impostor among them.
        target: What each bundle's own threshold is set at.
        given: See `comparisons`.
        seed: Of bootstrap and flips.
        rounds: Of the bootstrap.
    """
    found = [
        comparisons(plan, contest.sample, scores, given=given) for scores in contest.scores(plan)
    ]
    weights = found[0].weights(rounds, seed)
    crowds: Sequence[Crowd | None] = target.crowds or (None, None)
    both = list(zip(found, crowds, strict=True))
    drawn = [fnmr_rounds(each, target.fmr, weights, crowd) for each, crowd in both]
    errors = [_errors(each, target.fmr, crowd) for each, crowd in both]
    rates = [float(each.mean()) for each in errors]
    units = len(np.unique(found[0].owners))
    change = np.bincount(found[0].owners, errors[0] - errors[1]).astype(np.float64)
    return PairedResult(
        fmr=target.fmr,
        candidate=_interval(rates[0], drawn[0], units),
        active=_interval(rates[1], drawn[1], units),
        difference=_difference(rates[0] - rates[1], drawn[0] - drawn[1], units),
        chance=flip_chance(change, seed=seed),
        units=units,
        people=len(np.unique(found[0].second)),
        trials=len(errors[0]),
        pairs=len(target.crowds[0].scores) if target.crowds else 0,
    )


def resamples_photos(contest: Contest, plan: TrialPlan) -> bool:
    """Whether the subjects of the plan are too few, or too particular, to stand for others."""
    if contest.sample.owner is not None and contest.sample.owner in plan.subjects:
        return True
    return len(np.unique(plan.claimed[plan.genuine(contest.sample)])) < MIN_PEOPLE


def flip_chance(change: Rates, *, seed: int) -> float:
    """Share of random signs under which the sum is at least as far from 0, to the same side.

    Args:
        change: Difference of each unit, shape (units,).
        seed: Of the signs.
    """
    change = change[change != 0]
    if not len(change):
        return 1.0
    towards = change * np.sign(change.sum())
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(FLIPS, len(change)))
    reached = np.count_nonzero(signs @ towards >= towards.sum() * (1 - 1e-9))
    return float((reached + 1) / (FLIPS + 1))


def _errors(found: Comparisons, fmr: float, crowd: Crowd | None) -> Rates:
    threshold = error_curve(found).thresholds_at(fmr)
    if crowd:
        threshold = np.maximum(threshold, np.float32(crowd.threshold(fmr)))
    return np.asarray(found.genuine < threshold, np.float64)


def _interval(rate: float, rounds: Rates, units: int) -> Interval:
    return percentiles(rate, _complete(rounds), units)


def _difference(value: float, rounds: Rates, units: int) -> Interval:
    """The percentile interval, as much wider as few units demand.

    Among n units percentiles are too narrow by what parts the normal from Student's distribution,
    and by sqrt((n - 1) / n) (Hesterberg, "What teachers should know about the bootstrap", 2015).
    """
    drawn = _complete(rounds)
    if not drawn or units < 2:
        return Interval(value, -1.0, 1.0)
    level = NormalDist().cdf(-student(units - 1) * math.sqrt(units / (units - 1)))
    low, high = np.quantile(drawn, [level, 1 - level])
    return Interval(value, min(float(low), value), max(float(high), value))


def student(freedom: int) -> float:
    """The 97.5 % point of Student's distribution, by the expansion of Peiser and Fisher."""
    z = NormalDist().inv_cdf(1 - LEVEL)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(term / float(freedom) ** power for power, term in enumerate(terms))


def _complete(rounds: Rates) -> Sequence[float]:
    return [float(rate) for rate in rounds if not np.isnan(rate)]
