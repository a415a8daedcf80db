from collections.abc import Sequence

import pytest

from app.domain.calibration import BUCKETS, Calibration, OperatingPoint
from app.domain.training import Activation, Judgement
from app.training.acceptance.decision import Duties, decide_activation
from app.training.acceptance.gate import GateResult
from app.training.acceptance.regression import RegressionResult
from app.training.metrics import Interval

POINT = OperatingPoint(0.001, 0.7, 0.001, (0, 0.002), 0.01, (0, 0.02), 40, 20)
PRICED = Calibration(
    {"1": (POINT,), "2": (POINT,)}, subject="anna", others={"1": (POINT,), "2": (POINT,)}
)
ALONE = Calibration({"1": (POINT,), "2": (POINT,)}, subject="anna")
MORE = Calibration(dict.fromkeys(BUCKETS, (POINT,)))


def duties(
    others: frozenset[int] = frozenset(),
    *,
    subject: str | None = "anna",
    references: int = 2,
    base: Calibration = MORE,
) -> Duties:
    return Duties(subject, references, others, 0.001, base)


def gate(judgement: Judgement) -> GateResult:
    return GateResult(
        judgement=judgement,
        asked_fmr=0.001,
        target_fmr=0.001,
        references=3,
        candidate=None,
        active=None,
        difference=None,
        chance=0.01,
        unit="groups",
        units=20,
        impostors=100,
        trials=200,
        pairs=0,
        sentence=f"It is {judgement.value}.",
    )


def regression(*, lost: bool) -> RegressionResult:
    return RegressionResult(
        name="enrolled subjects",
        people=3,
        photos=12,
        references=3,
        target_fmr=0.001,
        candidate=Interval(0.1, 0, 0.2),
        active=Interval(0, 0, 0),
        difference=Interval(0.1, 0.05, 0.2),
        lost=lost,
        sentence="They lose." if lost else "They lose nothing.",
    )


def decide(
    judgement: Judgement = Judgement.BETTER,
    activation: Activation = Activation.IF_BETTER,
    *,
    lost: bool = False,
    calibration: Calibration = PRICED,
    duty: Duties | None = None,
) -> tuple[bool, Sequence[str]]:
    made = decide_activation(
        activation, gate(judgement), [regression(lost=lost)], calibration, duty or duties()
    )
    assert made.judgement is judgement
    return made.activate, made.reasons


def test_only_a_better_bundle_that_loses_nobody_is_activated() -> None:
    assert decide() == (True, ("It is better.", "They lose nothing."))
    assert decide(Judgement.INDISTINGUISHABLE) == (False, ("It is indistinguishable.",))
    assert decide(Judgement.WORSE) == (False, ("It is worse.",))
    assert decide(lost=True) == (False, ("They lose.",))
    assert decide(Judgement.WORSE, lost=True) == (False, ("It is worse.", "They lose."))


def test_always_and_never_say_what_the_gate_found_all_the_same() -> None:
    activate, reasons = decide(Judgement.WORSE, Activation.ALWAYS, lost=True)
    assert activate
    assert "as asked for" in reasons[0]
    assert reasons[1:] == ("It is worse.", "They lose.")
    activate, reasons = decide(activation=Activation.NEVER)
    assert not activate
    assert reasons[1:] == ("It is better.", "They lose nothing.")


@pytest.mark.parametrize("activation", Activation)
def test_a_bundle_that_prices_the_services_rate_for_nobody_never_serves(
    activation: Activation,
) -> None:
    activate, reasons = decide(activation=activation, calibration=Calibration({}, "anna"))
    assert not activate
    assert "FACETWIN_MAX_FMR=0.001 for anybody" in reasons[0]


@pytest.mark.parametrize(
    ("duty", "why"),
    [
        (duties(references=4), "for anna with 4 reference(s)"),
        (duties(frozenset({2})), "other enrolled subjects with 2 references"),
    ],
)
def test_who_could_not_be_verified_any_more_keeps_the_active_bundle(duty: Duties, why: str) -> None:
    activate, reasons = decide(calibration=ALONE, duty=duty)
    assert not activate
    assert why in reasons[0]
    activate, reasons = decide(activation=Activation.ALWAYS, calibration=ALONE, duty=duty)
    assert activate
    assert any(why in reason for reason in reasons)


def test_other_subjects_are_fine_where_other_people_are_priced() -> None:
    others = frozenset({2})
    assert decide(duty=duties(others))[0]
    assert decide(duty=duties(references=0), calibration=ALONE)[0]
    everybody = Calibration({"1": (POINT,), "2": (POINT,)})
    assert decide(duty=duties(others, subject=None, references=0), calibration=everybody)[0]


def test_nobody_loses_what_the_active_bundle_can_not_do_either() -> None:
    assert decide(duty=duties(frozenset({2}), base=ALONE), calibration=ALONE)[0]
    assert decide(duty=duties(references=4, base=ALONE), calibration=ALONE)[0]
