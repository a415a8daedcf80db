"""Both bundles on the same photos of the test side, side by side."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
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
from app.training.acceptance.hardest import HardError, hardest
from app.training.acceptance.paired import resamples_photos, strictest_backed
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
"""Shown beside FACETWIN_MAX_FMR."""
BINS: Final = 50
POINTS: Final = 150


def compare(contest: Contest, *, max_fmr: float, seed: int) -> Comparison:
    """All rates of both bundles, on the same trials.

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
    fmr = strictest_backed(contest, shown.plan, max_fmr) if shown else None
    subjects = np.isin(contest.sample.people, contest.subjects)
    return Comparison(
        max_fmr=max_fmr,
        photos=len(contest.sample),
        people=len(np.unique(contest.sample.people)),
        groups=len(np.unique(contest.sample.groups[subjects])),
        owner=contest.sample.owner is not None,
        shown_references=shown.references if shown else 0,
        candidate=_bundle(contest, 0, shown, fmr, seed),
        active=_bundle(contest, 1, shown, fmr, seed),
        rates=[_rates(contest, each, (*FMRS, max_fmr), seed) for each in tried],
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
    targets = sorted(set(fmrs), reverse=True)
    found = tried.found[0]
    weights = found.weights(ROUNDS, seed)
    units = len(np.unique(found.owners))
    ways = [_Rates.of(each, targets, weights, units) for each in tried.found]
    backed = [
        all(is_backed(tried.plan, contest.sample, each, fmr) for each in tried.scores)
        for fmr in targets
    ]
    votes = [_votes(contest, who, tried, weights, units) for who in contest.contenders]
    return AtReferences(
        references=tried.references,
        galleries=len(tried.plan.galleries),
        genuine_trials=len(found.genuine),
        impostor_trials=len(found.impostor),
        unit="groups" if tried.given else "people",
        units=units,
        impostors=len(np.unique(found.second)),
        at_fmr=[
            AtFmr(
                target_fmr=fmr,
                fnmr=Both(candidate=ways[0].fnmr[i], active=ways[1].fnmr[i]) if backed[i] else None,
                reason=None if backed[i] else _unsupported(fmr),
            )
            for i, fmr in enumerate(targets)
        ],
        equal_error_rate=Both(candidate=ways[0].equal, active=ways[1].equal),
        votes=BothVotes(candidate=votes[0], active=votes[1]),
    )


def _unsupported(fmr: float) -> str:
    return (
        f"At an FMR of {price(fmr)} these impostors give fewer than {MIN_FALSE_MATCHES} false "
        f"matches between {MIN_IDENTITY_PAIRS} pairs of people, so no rate is stated."
    )


@dataclass(frozen=True, slots=True)
class _Rates:
    """FNMR at each FMR, and the equal error rate."""

    fnmr: tuple[Interval, ...]
    equal: Interval

    @classmethod
    def of(cls, found: Comparisons, fmrs: Sequence[float], weights: Counts, units: int) -> "_Rates":
        curve = error_curve(found)
        rounds = resampled(found, weights)
        drawn = [(1 - each.tar(fmrs), each.equal_error_rate()) for each in rounds]
        rates = 1 - curve.tar(fmrs)
        return cls(
            tuple(
                percentiles(float(rate), [float(fnmr[i]) for fnmr, _ in drawn], units)
                for i, rate in enumerate(rates)
            ),
            percentiles(curve.equal_error_rate(), [equal for _, equal in drawn], units),
        )


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
    recall, false = float(1 - accepted.fnmr(0.5)), float(accepted.fmr(0.5))
    return recall, recall / (recall + false) if recall + false > 0 else None


def _bundle(
    contest: Contest, side: int, shown: _Tried | None, fmr: float | None, seed: int
) -> BundleSection:
    who = contest.contenders[side]
    found = shown.found[side] if shown else None
    return BundleSection(
        version=who.version,
        failures=_failures(contest, who),
        histogram=_histogram(found, fmr) if found else None,
        curve=Curve.of(rate_curve(found, rounds=ROUNDS, seed=seed, points=POINTS))
        if found
        else None,
    )


def _failures(contest: Contest, who: Contender) -> Failures:
    own = np.isin(contest.sample.people, contest.subjects)
    failed = np.flatnonzero(own & ~who.photos.usable)
    reasons = Counter(code for row in failed for code in who.photos.reasons[row])
    return Failures(
        photos=int(np.count_nonzero(own)), failed=len(failed), reasons=dict(sorted(reasons.items()))
    )


def _histogram(found: Comparisons, fmr: float | None) -> Histogram:
    made = found.made()
    scores = np.concatenate([made.genuine, made.impostor]).astype(np.float64)
    edges = np.histogram_bin_edges(scores, BINS)
    genuine, impostor = (
        np.histogram(each.astype(np.float64), edges)[0] / max(len(each), 1)
        for each in (made.genuine, made.impostor)
    )
    threshold = None if fmr is None else float(error_curve(found).thresholds_at(fmr))
    return Histogram(
        edges=[round(float(edge), 5) for edge in edges],
        genuine=[round(float(share), 6) for share in genuine],
        impostor=[round(float(share), 6) for share in impostor],
        not_scored=len(found.genuine) - len(made.genuine),
        fmr=fmr,
        threshold=threshold,
    )
