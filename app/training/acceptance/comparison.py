"""Both bundles on the same photos of the test side, side by side."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from app.domain.decisions import VoteRule
from app.domain.entities import Floats
from app.training.acceptance.comparison_sections import (
    AtFmr,
    AtReferences,
    Both,
    BothVotes,
    BundleSection,
    Comparison,
    Curve,
    Failures,
    Histogram,
    VoteRates,
)
from app.training.acceptance.contest import Contender, Contest, comparisons, is_backed
from app.training.acceptance.gate import REFERENCES
from app.training.acceptance.hardest import HardError, Side, hardest, threshold_of
from app.training.acceptance.paired import Target, backed_target, compare_at, resamples_photos
from app.training.acceptance.trials import TrialPlan
from app.training.acceptance.words import price
from app.training.calibrate import MIN_FALSE_MATCHES, MIN_IDENTITY_PAIRS
from app.training.evaluation.curves import (
    Comparisons,
    ErrorCurve,
    error_curve,
    rate_curve,
    resampled,
)
from app.training.evaluation.intervals import ROUNDS, percentiles
from app.training.metrics import Counts, Interval
from app.training.trials import MAX_REFERENCES

__all__ = ["Comparison", "HardError", "compare", "hardest"]

FMRS: Final = (0.01, 0.001)
"""Told in any case, as far as they are supported."""
BINS: Final = 50
POINTS: Final = 150


def compare(contest: Contest, *, max_fmr: float, seed: int) -> Comparison:
    """All rates of both bundles, on the same trials.

    FNMR is told at `FMRS`, at `max_fmr`, and at the rate that the gate compares by.

    Args:
        contest: Both on the test side.
        max_fmr: FACETWIN_MAX_FMR.
        seed: Of galleries and bootstrap; the gate draws the same with the same seed.
    """
    most = min(contest.most_references(), MAX_REFERENCES)
    tried = [
        _Tried.of(contest, references, seed=seed)
        for references in sorted({1, REFERENCES, most})
        if 1 <= references <= most
    ]
    tried = [each for each in tried if each.complete]
    shown = max((e for e in tried if e.references <= REFERENCES), key=_references, default=None)
    target = backed_target(contest, shown.plan, max_fmr, seed=seed) if shown else None
    fmrs = {*FMRS, max_fmr, *([target.fmr] if target else [])}
    subjects = np.isin(contest.sample.people, contest.subjects)
    return Comparison(
        max_fmr=max_fmr,
        photos=len(contest.sample),
        people=len(np.unique(contest.sample.people)),
        groups=len(np.unique(contest.sample.groups[subjects])),
        owner=contest.sample.owner is not None,
        shown_references=shown.references if shown else 0,
        candidate=_bundle(contest, Side.CANDIDATE, shown, target, seed),
        active=_bundle(contest, Side.ACTIVE, shown, target, seed),
        rates=[_rates(contest, each, sorted(fmrs), seed) for each in tried],
        note=None if tried else _NOTHING,
    )


_NOTHING: Final = (
    "There is nothing to compare by: the test side needs at least two photos of a subject that are "
    "no copies of each other, and a photo of someone else, which both bundles can use."
)


@dataclass(frozen=True, slots=True)
class _Tried:
    """Trials with so many references, and the scores that the two bundles give."""

    references: int
    plan: TrialPlan
    scores: tuple[Floats, Floats]
    found: tuple[Comparisons, Comparisons]
    given: bool

    @classmethod
    def of(cls, contest: Contest, references: int, *, seed: int) -> "_Tried":
        plan = contest.plan(references, seed=seed)
        given = resamples_photos(contest, plan)
        scores = contest.scores(plan)
        candidate, active = (
            comparisons(plan, contest.sample, each, given=given) for each in scores
        )
        return cls(references, plan, scores, (candidate, active), given)

    @property
    def complete(self) -> bool:
        return bool(len(self.found[0].genuine) and len(self.found[0].impostor))


def _references(tried: _Tried) -> int:
    return tried.references


def _rates(contest: Contest, tried: _Tried, fmrs: Sequence[float], seed: int) -> AtReferences:
    found = tried.found[0]
    weights = found.weights(ROUNDS, seed)
    units = len(np.unique(found.owners))
    targets = _targets(contest, tried, fmrs, seed)
    votes = [_votes(contest, who, tried, weights, units) for who in contest.contenders]
    equal = [_equal_error_rate(each, weights, units) for each in tried.found]
    return AtReferences(
        references=tried.references,
        galleries=len(tried.plan.galleries),
        genuine_trials=len(found.genuine),
        impostor_trials=len(found.impostor),
        unit="groups" if tried.given else "people",
        units=units,
        impostors=len(np.unique(found.second)),
        at_fmr=[
            _at_fmr(contest, tried, fmr, targets[fmr], seed)
            for fmr in sorted(targets, reverse=True)
        ],
        equal_error_rate=Both(candidate=equal[0], active=equal[1]),
        votes=BothVotes(candidate=votes[0], active=votes[1]),
    )


def _targets(
    contest: Contest, tried: _Tried, fmrs: Sequence[float], seed: int
) -> dict[float, Target | None]:
    """What backs each FMR, from strict to lax; None where nothing does."""
    found: dict[float, Target | None] = {}
    backed: Target | None = None
    for fmr in fmrs:
        if backed is None or backed.fmr > fmr:
            backed = backed_target(contest, tried.plan, fmr, seed=seed)
        if backed is None or backed.fmr > fmr:
            found[fmr] = None
        elif all(is_backed(tried.plan, contest.sample, each, fmr) for each in tried.scores):
            found[fmr] = Target(fmr)
        else:  # what backs a rate backs a laxer one too
            found[fmr] = Target(fmr, backed.crowds)
    return found


def _at_fmr(contest: Contest, tried: _Tried, fmr: float, target: Target | None, seed: int) -> AtFmr:
    if target is None:
        return AtFmr(target_fmr=fmr, fnmr=None, difference=None, pairs=0, reason=_unsupported(fmr))
    found = compare_at(contest, tried.plan, target, given=tried.given, seed=seed, rounds=ROUNDS)
    return AtFmr(
        target_fmr=fmr,
        fnmr=Both(candidate=found.candidate, active=found.active),
        difference=found.difference,
        pairs=found.pairs,
        reason=None,
    )


def _unsupported(fmr: float) -> str:
    return (
        f"At an FMR of {price(fmr)} these people give fewer than {MIN_FALSE_MATCHES} false "
        f"matches between {MIN_IDENTITY_PAIRS} pairs of people, so no rate is stated."
    )


def _equal_error_rate(found: Comparisons, weights: Counts, units: int) -> Interval:
    drawn = [each.equal_error_rate() for each in resampled(found, weights)]
    return percentiles(error_curve(found).equal_error_rate(), drawn, units)


def _votes(
    contest: Contest, who: Contender, tried: _Tried, weights: Counts, units: int
) -> VoteRates:
    accepted = tried.plan.votes(contest.sample, who.photos, who.decider, VoteRule())
    found = comparisons(tried.plan, contest.sample, accepted.astype(np.float32), given=tried.given)
    rates = _vote_rates(error_curve(found))
    drawn = [_vote_rates(each) for each in resampled(found, weights)]
    precisions = [precision for _, precision in drawn if precision is not None]
    return VoteRates(
        precision=None if rates[1] is None else percentiles(rates[1], precisions, units),
        recall=percentiles(rates[0], [recall for recall, _ in drawn], units),
    )


def _vote_rates(accepted: ErrorCurve) -> tuple[float, float | None]:
    """Recall and precision, of trials whose score is 1 where the rule accepts, else 0."""
    # Cumulated weights are a hair off where all or nothing is accepted.
    recall, false = (
        float(np.clip(each, 0, 1)) for each in (1 - accepted.fnmr(0.5), accepted.fmr(0.5))
    )
    return recall, recall / (recall + false) if recall + false > 0 else None


def _bundle(
    contest: Contest, side: Side, shown: _Tried | None, target: Target | None, seed: int
) -> BundleSection:
    index = list(Side).index(side)
    who = contest.contenders[index]
    found = shown.found[index] if shown else None
    return BundleSection(
        version=who.version,
        failures=_failures(contest, who),
        histogram=_histogram(found, target, side) if found else None,
        curve=_curve(contest, shown, index, seed) if shown else None,
    )


def _curve(contest: Contest, shown: _Tried, index: int, seed: int) -> Curve:
    drawn = rate_curve(shown.found[index], rounds=ROUNDS, seed=seed, points=POINTS)
    scores = shown.scores[index]
    first = bisect_left(
        drawn.fmr, x=True, key=lambda fmr: is_backed(shown.plan, contest.sample, scores, fmr)
    )
    # The same photo against many galleries is no new evidence, as `rate_curve` would have it.
    return Curve.of(replace(drawn, supported=float(drawn.fmr[first - 1]) if first else 0.0))


def _failures(contest: Contest, who: Contender) -> Failures:
    own = np.isin(contest.sample.people, contest.subjects)
    failed = np.flatnonzero(own & ~who.photos.usable)
    reasons = Counter(code for row in failed for code in who.photos.reasons[row])
    return Failures(
        photos=int(np.count_nonzero(own)), failed=len(failed), reasons=dict(sorted(reasons.items()))
    )


def _histogram(found: Comparisons, target: Target | None, side: Side) -> Histogram:
    made = found.made()
    scores = np.concatenate([made.genuine, made.impostor]).astype(np.float64)
    edges = np.histogram_bin_edges(scores, BINS)
    genuine, impostor = (
        np.histogram(each.astype(np.float64), edges)[0] / max(len(each), 1)
        for each in (made.genuine, made.impostor)
    )
    return Histogram(
        edges=[round(float(edge), 5) for edge in edges],
        genuine=[round(float(share), 6) for share in genuine],
        impostor=[round(float(share), 6) for share in impostor],
        not_scored=len(found.genuine) - len(made.genuine),
        fmr=target.fmr if target else None,
        threshold=threshold_of(found.impostor, target, side) if target else None,
    )
