from app.domain.entities import ReasonCode
from app.domain.quality import RULES, Gate, assess

GOOD = {
    "eye_distance": 60.0,
    "sharpness": 200.0,
    "brightness": 120.0,
    "contrast": 40.0,
    "pose": 5.0,
    "inside": 1.0,
    "detection_score": 0.99,
    "other_face": 0.0,
}
GATES = {
    ReasonCode.FACE_TOO_SMALL: Gate(20, blocking=True),
    ReasonCode.TOO_BLURRY: Gate(30, blocking=True),
    ReasonCode.TOO_DARK: Gate(40, blocking=True),
    ReasonCode.TOO_BRIGHT: Gate(220, blocking=True),
    ReasonCode.LOW_CONTRAST: Gate(15, blocking=False),
    ReasonCode.EXTREME_POSE: Gate(60, blocking=True),
    ReasonCode.FACE_CUT_OFF: Gate(0.8, blocking=True),
    ReasonCode.LOW_CONFIDENCE: Gate(0.9, blocking=False),
    ReasonCode.MULTIPLE_FACES: Gate(0.5, blocking=False),
}
BAD = {
    ReasonCode.FACE_TOO_SMALL: {"eye_distance": 19.0},
    ReasonCode.TOO_BLURRY: {"sharpness": 29.0},
    ReasonCode.TOO_DARK: {"brightness": 39.0},
    ReasonCode.TOO_BRIGHT: {"brightness": 221.0},
    ReasonCode.LOW_CONTRAST: {"contrast": 14.0},
    ReasonCode.EXTREME_POSE: {"pose": 61.0},
    ReasonCode.FACE_CUT_OFF: {"inside": 0.79},
    ReasonCode.LOW_CONFIDENCE: {"detection_score": 0.89},
    ReasonCode.MULTIPLE_FACES: {"other_face": 0.51},
}


def test_a_good_face_has_no_reasons() -> None:
    assert assess(GOOD, GATES).reasons == ()


def test_each_gate_gives_its_reason_with_measure_and_limit() -> None:
    assert set(BAD) == set(RULES)
    for code, measure in BAD.items():
        (reason,) = assess(GOOD | measure, GATES).reasons
        assert reason.code is code
        assert reason.measured == next(iter(measure.values()))
        assert reason.required == GATES[code].limit
        assert reason.blocking is GATES[code].blocking


def test_blocking_reasons_come_first() -> None:
    quality = assess(GOOD | {"detection_score": 0.5, "other_face": 0.9, "inside": 0.1}, GATES)
    assert next(r.code for r in quality.reasons) is ReasonCode.FACE_CUT_OFF
    assert [r.code for r in quality.blocking] == [ReasonCode.FACE_CUT_OFF]


def test_a_measure_without_a_gate_is_not_judged() -> None:
    assert assess(GOOD | {"brightness": 1.0}, {}).reasons == ()
