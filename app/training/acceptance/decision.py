"""Whether a new bundle shall serve."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.calibration import Calibration
from app.domain.errors import UnsupportedFmrError
from app.domain.training import Activation, Judgement
from app.training.acceptance.gate import GateResult
from app.training.acceptance.regression import RegressionResult
from app.training.job.memory import Decision


@dataclass(frozen=True, slots=True)
class Duties:
    """Whom the service verifies, and at what price.

    Attributes:
        subject: Key of the subject that the owner is; None for a bundle that has no owner.
        references: How many references the owner has in the gallery.
        others: How many references each of the other subjects has, who have two and more.
        max_fmr: FACETWIN_MAX_FMR.
        base: Calibration of the active bundle: whom that can't price nobody loses.
    """

    subject: str | None
    references: int
    others: frozenset[int]
    max_fmr: float
    base: Calibration

    def unpriced(self, calibration: Calibration) -> list[str]:
        """Who can be verified by the active bundle and not by a new one, one sentence each."""
        found = []
        references = max(self.references, 1)
        if self._loses(calibration, self.subject, references):
            found.append(
                f"It can't price FACETWIN_MAX_FMR={self.max_fmr:g} for "
                f"{self.subject or 'anybody'} with {references} reference(s)."
            )
        lost = [count for count in sorted(self.others) if self._loses(calibration, None, count)]
        if self.subject and lost:
            found.append(
                f"It can't price FACETWIN_MAX_FMR={self.max_fmr:g} for other enrolled subjects "
                f"with {lost[-1]} references, who could not be verified any more: that takes "
                f"more people with {lost[-1] + 1} photos each in data/negative."
            )
        return found

    def _loses(self, calibration: Calibration, subject: str | None, references: int) -> bool:
        return _prices(self.base, subject, references, self.max_fmr) and not _prices(
            calibration, subject, references, self.max_fmr
        )


def decide_activation(
    activation: Activation,
    gate: GateResult,
    regressions: Sequence[RegressionResult],
    calibration: Calibration,
    duties: Duties,
) -> Decision:
    """What the gate says, and what speaks against it.

    A bundle that prices FACETWIN_MAX_FMR for nobody never serves: every answer would be an error.
    """
    told = (gate.sentence, *(result.sentence for result in regressions))
    if not calibration.supports(duties.max_fmr):
        return Decision(gate.judgement, False, (_priceless(duties.max_fmr), *told))
    against = [
        *(result.sentence for result in regressions if result.lost),
        *duties.unpriced(calibration),
    ]
    if activation is Activation.NEVER:
        return Decision(gate.judgement, False, (_AS_ASKED[activation], *told, *_new(against, told)))
    if activation is Activation.ALWAYS:
        return Decision(gate.judgement, True, (_AS_ASKED[activation], *told, *_new(against, told)))
    if gate.judgement is not Judgement.BETTER:
        against.insert(0, gate.sentence)
    return Decision(gate.judgement, not against, tuple(against) or told)


_AS_ASKED = {
    Activation.NEVER: "The new bundle was published and not activated, as asked for.",
    Activation.ALWAYS: "The new bundle is activated whatever the gate says, as asked for.",
}


def _priceless(max_fmr: float) -> str:
    return (
        "The new bundle can't be activated: its test side has too few people to price "
        f"FACETWIN_MAX_FMR={max_fmr:g} for anybody. Add photos of more people to data/negative, "
        "or accept a higher rate."
    )


def _new(sentences: Sequence[str], told: Sequence[str]) -> list[str]:
    return [sentence for sentence in sentences if sentence not in told]


def _prices(calibration: Calibration, subject: str | None, references: int, fmr: float) -> bool:
    try:
        calibration.about(subject).operating_point(fmr, references)
    except UnsupportedFmrError:
        return False
    return True
