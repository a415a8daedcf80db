"""From measurements on a face to reasons a person can act on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from app.domain.entities import Quality, Reason, ReasonCode


@dataclass(frozen=True, slots=True)
class Gate:
    """A limit on one measure.

    Attributes:
        limit: Required value, in the unit of the measure.
        blocking: Whether failing it forbids a verdict; otherwise it is only reported.
    """

    limit: float
    blocking: bool


@dataclass(frozen=True, slots=True)
class _Rule:
    measure: str
    fails: Callable[[float, float], bool]
    message: str


def _below(value: float, limit: float) -> bool:
    return value < limit


def _above(value: float, limit: float) -> bool:
    return value > limit


RULES: Final[Mapping[ReasonCode, _Rule]] = {
    ReasonCode.FACE_TOO_SMALL: _Rule(
        "eye_distance",
        _below,
        "The face is too small: there are too few pixels between the eyes. Come closer or send a "
        "larger photo.",
    ),
    ReasonCode.TOO_BLURRY: _Rule(
        "sharpness", _below, "The face is blurred. Hold the camera still and focus on the face."
    ),
    ReasonCode.TOO_DARK: _Rule(
        "brightness", _below, "The face is too dark. Turn towards the light."
    ),
    ReasonCode.TOO_BRIGHT: _Rule(
        "brightness", _above, "The face is over-exposed. Avoid direct light or a flash."
    ),
    ReasonCode.LOW_CONTRAST: _Rule(
        "contrast",
        _below,
        "The face has little contrast. Clean the lens, or avoid backlight.",
    ),
    ReasonCode.EXTREME_POSE: _Rule(
        "pose", _above, "The head is turned too far. Look towards the camera."
    ),
    ReasonCode.FACE_CUT_OFF: _Rule(
        "inside", _below, "The face is cut off by the edge of the photo. Show the whole face."
    ),
    ReasonCode.LOW_CONFIDENCE: _Rule(
        "detection_score", _below, "The detector is not sure that this is a face."
    ),
    ReasonCode.MULTIPLE_FACES: _Rule(
        "other_face",
        _above,
        "Another face in the photo is nearly as prominent as the one that was used.",
    ),
}
"""What each gate measures. Units: `eye_distance` pixels; `sharpness` variance of the Laplacian on
the aligned face; `brightness` mean luma, 0..255; `contrast` standard deviation of luma;
`pose` largest of |yaw|, |pitch| and |roll| in degrees;
`inside` share of the aligned face inside the photo; `detection_score` 0..1; `other_face` area of
the next largest face over the area of the chosen one."""


def assess(measures: Mapping[str, float], gates: Mapping[ReasonCode, Gate]) -> Quality:
    """Hold measurements against a bundle's gates; blocking findings come first."""
    reasons = [
        Reason(code, rule.message, measures[rule.measure], gates[code].limit, gates[code].blocking)
        for code, rule in RULES.items()
        if code in gates and rule.fails(measures[rule.measure], gates[code].limit)
    ]
    return Quality(dict(measures), tuple(sorted(reasons, key=lambda r: not r.blocking)))
