"""The words of design.md as immutable values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]


class FacePolicy(StrEnum):
    """Which of several faces is meant."""

    PROMINENT = "prominent"
    """The largest product of area and closeness to the image centre."""
    LARGEST = "largest"
    CENTRAL = "central"
    SINGLE = "single"
    """More than one face is an error."""


class ReasonCode(StrEnum):
    """Why a photo is inconclusive or rejected."""

    FACE_TOO_SMALL = "FACE_TOO_SMALL"
    TOO_BLURRY = "TOO_BLURRY"
    TOO_DARK = "TOO_DARK"
    TOO_BRIGHT = "TOO_BRIGHT"
    LOW_CONTRAST = "LOW_CONTRAST"
    EXTREME_POSE = "EXTREME_POSE"
    FACE_CUT_OFF = "FACE_CUT_OFF"
    LOW_CONFIDENCE = "LOW_CONFIDENCE"
    MULTIPLE_FACES = "MULTIPLE_FACES"
    NO_FACE = "NO_FACE"
    DUPLICATE_IMAGE = "DUPLICATE_IMAGE"
    OUTLIER = "OUTLIER"
    INVALID_IMAGE = "INVALID_IMAGE"


@dataclass(frozen=True, slots=True)
class Reason:
    """One finding about a photo, with what was measured and what would be required.

    Attributes:
        code: The stable name.
        message: One sentence that tells a person what to do.
        measured: The measured value, in the unit that `message` names.
        required: The limit it was held against.
        blocking: Whether it makes a probe inconclusive and an enrolment photo rejected.
    """

    code: ReasonCode
    message: str
    measured: float | None = None
    required: float | None = None
    blocking: bool = True


@dataclass(frozen=True, slots=True)
class Box:
    """Axis-aligned rectangle in pixels of the upright photo; it may reach over the edge."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Five points, (x, y) in pixels of the upright photo; left and right are the viewer's."""

    left_eye: tuple[float, float]
    right_eye: tuple[float, float]
    nose: tuple[float, float]
    mouth_left: tuple[float, float]
    mouth_right: tuple[float, float]

    def as_array(self) -> Floats:
        """Shape (5, 2), in the order of the fields."""
        points = (self.left_eye, self.right_eye, self.nose, self.mouth_left, self.mouth_right)
        return np.array(points, np.float32)


@dataclass(frozen=True, slots=True)
class Face:
    """A detected face; `score` is the detector's confidence in 0..1."""

    box: Box
    landmarks: Landmarks
    score: float


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured on a face, and what follows from it.

    Attributes:
        measures: Value by name (see `domain.quality`).
        reasons: Findings, blocking ones first.
    """

    measures: Mapping[str, float]
    reasons: tuple[Reason, ...] = ()

    @property
    def blocking(self) -> tuple[Reason, ...]:
        """The findings that forbid a verdict."""
        return tuple(r for r in self.reasons if r.blocking)


@dataclass(frozen=True, slots=True)
class FaceTemplate:
    """A face of a photo, ready to be compared.

    Attributes:
        face: Where it is.
        quality: How good it is.
        embedding: Shape (d,), float32; unit length unless the bundle says otherwise.
        faces: How many faces the photo shows.
    """

    face: Face
    quality: Quality
    embedding: Floats
    faces: int
    timing_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reference:
    """An enrolled verification image. `path` is relative to the folder verification_images."""

    image_id: str
    subject: str
    path: str
    created_at: str
    embedding: Floats = field(repr=False)


class Decision(StrEnum):
    """The answer to 'is this the enrolled person?'."""

    MATCH = "match"
    NO_MATCH = "no_match"
    INCONCLUSIVE = "inconclusive"


class Policy(StrEnum):
    """How scores become a decision."""

    CALIBRATED = "calibrated"
    VOTE = "vote"


@dataclass(frozen=True, slots=True)
class FmrEstimate:
    """The false match rate that a threshold was priced at, with its 95 % interval."""

    target: float
    estimated: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Votes:
    """The seed tutorial's count: references whose probability exceeds `detection_threshold`."""

    above: int
    references: int
    detection_threshold: float
    verification_threshold: float

    @property
    def proportion(self) -> float:
        """Share of the references that voted for a match."""
        return self.above / self.references


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision and all that explains it.

    Attributes:
        score: The fused decision score (calibrated) or the proportion of votes (vote).
        threshold: What `score` was held against.
        reference_scores: Decision score per reference, in the gallery's order.
    """

    decision: Decision
    policy: Policy
    score: float
    threshold: float
    fmr: FmrEstimate | None
    votes: Votes
    reference_scores: Floats = field(repr=False)
    reasons: tuple[Reason, ...] = ()

    @property
    def verified(self) -> bool:
        """True only for a match."""
        return self.decision is Decision.MATCH
