"""Is the new bundle better than the active one?"""

from typing import Final

from pydantic import BaseModel, ConfigDict

from app.domain.training import Judgement
from app.training.acceptance.contest import Contest
from app.training.acceptance.paired import (
    ROUNDS,
    PairedResult,
    backed_target,
    compare_at,
    resamples_photos,
)
from app.training.acceptance.words import count, percent, points, price
from app.training.calibrate import MIN_FALSE_MATCHES, MIN_IDENTITY_PAIRS
from app.training.metrics import Interval

REFERENCES: Final = 3
"""With more, clean photos hardly ever fail, and no bundle can be told from another."""


class GateResult(BaseModel):
    """FNMR of both bundles at the same FMR, and what follows.

    Attributes:
        judgement: `better` and `worse` are differences that chance does not explain.
        asked_fmr: FACETWIN_MAX_FMR.
        target_fmr: The FMR at which the bundles were compared: the asked one, or the strictest
            laxer one that the impostors of the test side support; None if they support none.
        references: Of each gallery.
        candidate: FNMR of the new bundle.
        active: FNMR of the active one.
        difference: The former less the latter, with its 95 % interval.
        chance: See `PairedResult`.
        unit: What was resampled: `groups` of photos, or `people`.
        units: How many.
        impostors: Other people who were tried.
        trials: Genuine trials.
        pairs: See `PairedResult`.
        sentence: All this for people.
    """

    model_config = ConfigDict(frozen=True)

    judgement: Judgement
    asked_fmr: float
    target_fmr: float | None
    references: int
    candidate: Interval | None
    active: Interval | None
    difference: Interval | None
    chance: float | None
    unit: str
    units: int
    impostors: int
    trials: int
    pairs: int
    sentence: str


def judge(
    contest: Contest,
    *,
    max_fmr: float,
    seed: int,
    references: int = REFERENCES,
    rounds: int = ROUNDS,
) -> GateResult:
    """Compare the bundles by FNMR at the target FMR, on the same trials.

    Args:
        contest: Both on the test side.
        max_fmr: FACETWIN_MAX_FMR.
        seed: Of galleries and bootstrap.
        references: Of each gallery, if the subjects have twice as many photos; otherwise fewer.
        rounds: Of the bootstrap.
    """
    references = min(references, contest.most_references())
    if references < 1:
        return _open(contest, max_fmr, 0, "There are too few photos on the test side to judge by.")
    plan = contest.plan(references, seed=seed)
    target = backed_target(contest, plan, max_fmr, seed=seed)
    if target is None:
        return _open(contest, max_fmr, references, _TOO_FEW_PEOPLE)
    given = resamples_photos(contest, plan)
    found = compare_at(contest, plan, target, given=given, seed=seed, rounds=rounds)
    judgement = Judgement.INDISTINGUISHABLE
    if found.lower:
        judgement = Judgement.BETTER
    elif found.higher:
        judgement = Judgement.WORSE
    return GateResult(
        judgement=judgement,
        asked_fmr=max_fmr,
        target_fmr=target.fmr,
        references=references,
        candidate=found.candidate,
        active=found.active,
        difference=found.difference,
        chance=found.chance,
        unit="groups" if given else "people",
        units=found.units,
        impostors=found.people,
        trials=found.trials,
        pairs=found.pairs,
        sentence=_sentence(judgement, found, references, max_fmr, given=given),
    )


_TOO_FEW_PEOPLE: Final = (
    f"There are too few other people on the test side: even the laxest rate needs "
    f"{MIN_FALSE_MATCHES} false matches with {MIN_IDENTITY_PAIRS} people. "
    "Add photos of more people to data/negative."
)


def _open(contest: Contest, max_fmr: float, references: int, why: str) -> GateResult:
    return GateResult(
        judgement=Judgement.INDISTINGUISHABLE,
        asked_fmr=max_fmr,
        target_fmr=None,
        references=references,
        candidate=None,
        active=None,
        difference=None,
        chance=None,
        unit="groups",
        units=0,
        impostors=len(set(contest.sample.people[contest.sample.strangers].tolist())),
        trials=0,
        pairs=0,
        sentence=f"The bundles can't be told apart. {why}",
    )


_VERDICTS: Final = {
    Judgement.BETTER: "The new bundle is better than the active one.",
    Judgement.WORSE: "The new bundle is worse than the active one.",
    Judgement.INDISTINGUISHABLE: "The new bundle can't be told from the active one.",
}


def _sentence(
    judgement: Judgement, found: PairedResult, references: int, max_fmr: float, *, given: bool
) -> str:
    units = "groups of photos" if given else "people"
    told = (
        f"{_VERDICTS[judgement]} With {count(references, 'reference')}, and {price(found.fmr)} of "
        f"strangers let in, it turns away {percent(found.candidate.value)} of genuine probes "
        f"where the active one turns away {percent(found.active.value)}: a difference of "
        f"{points(found.difference)}, from {count(found.trials, 'trial')} in {found.units} {units} "
        f"and {found.people} other people."
    )
    if found.pairs:
        told += (
            f" The thresholds are no laxer than {count(found.pairs, 'pair')} of other people set "
            "them."
        )
    if found.fmr > max_fmr:
        told += (
            f" At FACETWIN_MAX_FMR={max_fmr:g} these people give too few false matches to compare "
            f"by, so it was done at {found.fmr:g}."
        )
    return told
