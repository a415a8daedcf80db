"""The worst errors of both bundles, to be looked at."""

from enum import StrEnum
from itertools import chain, zip_longest
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from app.domain.entities import Floats
from app.training.acceptance.contest import Contender, Contest
from app.training.acceptance.gate import REFERENCES
from app.training.acceptance.paired import Target, backed_target
from app.training.acceptance.sample import Flags, Indices
from app.training.acceptance.trials import TrialPlan
from app.training.calibrate import TARGETS
from app.training.metrics import threshold_at_fmr

DEFAULT_FMR: Final = 0.001


class ErrorKind(StrEnum):
    """The two ways to be wrong."""

    FALSE_MATCH = "false_match"
    FALSE_NON_MATCH = "false_non_match"


class Side(StrEnum):
    """Whose error it is."""

    CANDIDATE = "candidate"
    ACTIVE = "active"


class HardError(BaseModel):
    """A trial that a bundle decides wrongly at its own threshold."""

    model_config = ConfigDict(frozen=True)

    bundle: Side
    kind: ErrorKind
    probe: int = Field(description="Row of the sample.")
    reference: int = Field(description="Row of the reference that the probe is most alike.")
    references: int = Field(description="Of the gallery.")
    score: float = Field(description="Fused over the references.")
    threshold: float
    fmr: float = Field(description="What the threshold is priced at.")


def hardest(
    contest: Contest, *, seed: int, most: int = 12, fmr: float = DEFAULT_FMR
) -> list[HardError]:
    """The worst errors, the candidate's first: false non-matches and false matches take turns.

    Each photo is shown once for a bundle and a kind. A false non-match because a photo has no
    usable face shows nothing and is left out. Two thirds are the candidate's if it has so many.

    Args:
        contest: Both bundles on the test side.
        seed: Of the galleries; the gate draws the same with the same seed.
        most: Errors in all.
        fmr: What the thresholds are priced at; or the strictest laxer rate that is supported.
    """
    references = min(REFERENCES, contest.most_references())
    if references < 1:
        return []
    plan = contest.plan(references, seed=seed)
    genuine = plan.genuine(contest.sample)
    if not genuine.any() or genuine.all():
        return []
    target = backed_target(contest, plan, fmr, seed=seed) or Target(max(TARGETS))
    candidate, active = (
        _errors(contest, side, plan, target, most) for side in (Side.CANDIDATE, Side.ACTIVE)
    )
    kept = max(most - len(active), most * 2 // 3)
    first = candidate[:kept]
    return [*first, *active[: most - len(first)]]


def threshold_of(impostor: Floats, target: Target, side: Side) -> float:
    """A bundle's own threshold, as the gate sets it: the stricter of what impostors and crowd say.

    Args:
        impostor: The bundle's scores of the impostor trials.
        target: What the threshold is priced at.
        side: Which of the two bundles.
    """
    threshold = threshold_at_fmr(impostor, target.fmr)
    if target.crowds is None:
        return threshold
    crowd = target.crowds[0 if side is Side.CANDIDATE else 1]
    return max(threshold, crowd.threshold(target.fmr))


def _errors(
    contest: Contest, side: Side, plan: TrialPlan, target: Target, most: int
) -> list[HardError]:
    """A bundle's worst errors of both kinds in turn, at most `most`."""
    who = contest.candidate if side is Side.CANDIDATE else contest.active
    scores = plan.scores(contest.sample, who.photos, who.decider)
    genuine = plan.genuine(contest.sample)
    threshold = threshold_of(scores[~genuine], target, side)
    missed = genuine & (scores < np.float32(threshold)) & np.isfinite(scores)
    matched = ~genuine & (scores >= np.float32(threshold))
    starts = np.cumsum(plan.counts)

    def told(kind: ErrorKind, trial: int) -> HardError:
        gallery = plan.galleries[int(np.searchsorted(starts, trial, side="right"))]
        probe = int(plan.probes[trial])
        return HardError(
            bundle=side,
            kind=kind,
            probe=probe,
            reference=_closest(who, probe, gallery),
            references=len(gallery),
            score=float(scores[trial]),
            threshold=threshold,
            fmr=target.fmr,
        )

    kinds = (
        [told(ErrorKind.FALSE_NON_MATCH, t) for t in _worst(plan, missed, scores, most)],
        [told(ErrorKind.FALSE_MATCH, t) for t in _worst(plan, matched, np.negative(scores), most)],
    )
    return [error for error in chain(*zip_longest(*kinds)) if error is not None][:most]


def _worst(plan: TrialPlan, wrong: Flags, order: Floats, most: int) -> Indices:
    """Trials of as many different photos, the lowest of `order` first."""
    trials = np.flatnonzero(wrong)
    trials = trials[np.argsort(order[trials], kind="stable")]
    _, first = np.unique(plan.probes[trials], return_index=True)
    return trials[np.sort(first)][:most]


def _closest(who: Contender, probe: int, gallery: Indices) -> int:
    alike = who.decider.scores(who.photos.embeddings[probe], who.photos.embeddings[gallery])
    return int(gallery[int(np.argmax(alike))])
