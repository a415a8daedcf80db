"""The JSON of the answers. Examples end up in OpenAPI, which is the API's manual."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.domain.entities import Decision, Policy, ReasonCode


def _rounded(digits: int) -> AfterValidator:
    return AfterValidator(lambda value: round(value, digits))


PixelValue = Annotated[float, _rounded(2)]
Measure = Annotated[float, _rounded(4)]
Score = Annotated[float, _rounded(6)]
Rate = Annotated[float, _rounded(9)]
Milliseconds = Annotated[float, _rounded(2)]
Point = tuple[PixelValue, PixelValue]


class Answer(BaseModel):
    """Base of all answers: exactly these members, and finite numbers."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        from_attributes=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # it may be a name
    )


class ReasonOut(Answer):
    """A finding about a photo, with what was measured and what would be required."""

    code: ReasonCode
    message: str = Field(description="What a person should do about it.")
    measured: Measure | None = Field(
        description="The measured value; null for `OUTLIER` unless the caller may see scores."
    )
    required: Measure | None = Field(description="The limit that it was held against.")
    blocking: bool = Field(description="Whether it forbids a verdict, or is only advice.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "code": "TOO_DARK",
                    "message": "The face is too dark. Turn towards the light.",
                    "measured": 31.5,
                    "required": 40.0,
                    "blocking": True,
                }
            ]
        }
    )


class BoxOut(Answer):
    """Rectangle in pixels of the upright photo; it may reach over the edge."""

    x: PixelValue = Field(examples=[212.41])
    y: PixelValue = Field(examples=[98.07])
    width: PixelValue = Field(examples=[148.6])
    height: PixelValue = Field(examples=[190.22])


class LandmarksOut(Answer):
    """Five points [x, y] in pixels of the upright photo; left and right are the viewer's."""

    left_eye: Point = Field(examples=[[248.31, 170.9]])
    right_eye: Point = Field(examples=[[318.02, 171.44]])
    nose: Point = Field(examples=[[283.5, 211.73]])
    mouth_left: Point = Field(examples=[[254.88, 246.1]])
    mouth_right: Point = Field(examples=[[313.27, 246.55]])


class FaceOut(Answer):
    """A detected face."""

    box: BoxOut
    landmarks: LandmarksOut
    score: Measure = Field(description="The detector's confidence, 0 to 1.", examples=[0.9991])


class QualityOut(Answer):
    """How good a face is for a verification."""

    acceptable: bool = Field(description="False if a blocking reason holds.")
    measures: dict[str, Measure] = Field(
        description="What was measured, by name.",
        examples=[{"eye_distance": 69.71, "sharpness": 412.5, "brightness": 121.3}],
    )
    reasons: list[ReasonOut]


class FmrOut(Answer):
    """The false match rate that the threshold was priced at."""

    target: Rate = Field(description="The calibrated rate that was chosen.", examples=[0.001])
    estimated: Rate = Field(description="The rate measured in calibration.", examples=[0.0004])
    interval: tuple[Rate, Rate] = Field(
        description="95 % interval for other people, as many as were calibrated on.",
        examples=[[0.0002, 0.0009]],
    )


class VotesOut(Answer):
    """The seed tutorial's count of references."""

    above: int = Field(description="References over detection_threshold.", examples=[48])
    references: int = Field(examples=[50])
    proportion: Score = Field(examples=[0.96])
    detection_threshold: float = Field(examples=[0.5])
    verification_threshold: float = Field(examples=[0.5])


class ReferenceScoreOut(Answer):
    """The score of one reference; only with detail=true."""

    image_id: str
    score: Score


class ModelOut(Answer):
    """The bundle that answered."""

    version: str
    fingerprint: str = Field(description="Hash of weights, detector and preprocessing.")


class VerdictOut(Answer):
    """A decision and all that explains it."""

    verified: bool = Field(description="True only for the decision `match`.", examples=[True])
    decision: Decision = Field(
        description="`inconclusive`: a face was found, but a blocking reason forbids a verdict."
    )
    subject: str | None = Field(description="null for /compare.", examples=["default"])
    score: Score = Field(
        description="Fused score (calibrated) or proportion of votes (vote).", examples=[0.973418]
    )
    threshold: Score = Field(description="What `score` was held against.", examples=[0.62])
    policy: Policy
    fmr: FmrOut | None = Field(description="null under the policy `vote`.")
    votes: VotesOut
    references: list[ReferenceScoreOut] | None = Field(
        default=None, description="Only with detail=true."
    )
    face: FaceOut
    faces: int = Field(description="How many faces the photo shows.", examples=[1])
    quality: QualityOut
    reasons: list[ReasonOut] = Field(description="Findings that bear on the decision.")
    model: ModelOut
    timing_ms: dict[str, Milliseconds] = Field(
        examples=[
            {"decode": 3.1, "detect": 14.2, "align": 0.6, "embed": 5.3, "match": 0.2, "total": 23.4}
        ]
    )
    request_id: str


class DetectedFaceOut(Answer):
    """A face of a photo with its quality."""

    face: FaceOut
    quality: QualityOut


class DetectOut(Answer):
    """All faces of a photo, the most prominent first."""

    width: int = Field(description="Pixels of the upright photo.", examples=[640])
    height: int = Field(description="Pixels of the upright photo.", examples=[480])
    faces: list[DetectedFaceOut]
    request_id: str


class EnrolledOut(Answer):
    """A photo that became a reference."""

    image_id: str
    filename: str = Field(examples=["anna-1.jpg"])
    face: FaceOut
    quality: QualityOut


class RejectedOut(Answer):
    """A photo that did not, and why."""

    filename: str = Field(examples=["anna-2.jpg"])
    reasons: list[ReasonOut]


class EnrollOut(Answer):
    """What became of each photo."""

    subject: str = Field(description="The stored spelling of the name.", examples=["default"])
    enrolled: list[EnrolledOut]
    rejected: list[RejectedOut]
    references: int = Field(description="References of the subject afterwards.", examples=[5])
    request_id: str


class HealthOut(Answer):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class SelfTestOut(Answer):
    """Result of the golden images that ran when the bundle was loaded."""

    ok: bool
    detail: str = Field(examples=["least golden cosine 0.999998, required 0.999"])


class ProblemOut(Answer):
    """Something that the operator should see to although verification works."""

    code: str = Field(examples=["files_missing"])
    message: str | None = Field(
        description="What is wrong, and what to do about it; null where keys are required."
    )


class ReadyOut(Answer):
    """The service can verify."""

    status: Literal["ready"] = "ready"
    self_test: SelfTestOut
    model: ModelOut
    references: int | None = Field(
        description="A second old at most; null where keys are required.", examples=[50]
    )
    degraded: list[ProblemOut] = Field(
        description="What does not work although verification does; empty if all is well.",
        examples=[[]],
    )


class VersionOut(Answer):
    """What runs here."""

    name: Literal["facetwin"] = "facetwin"
    version: str = Field(examples=["0.1.0"])
    model: ModelOut
