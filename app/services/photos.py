"""Whether a photo can be a reference, and if not, why; the same for uploads and folder photos."""

from app.domain.entities import FacePolicy, FaceTemplate, Reason, ReasonCode
from app.domain.errors import (
    FacetwinError,
    ImageTooLargeError,
    InvalidImageError,
    MultipleFacesError,
    NoFaceError,
    UnsupportedMediaTypeError,
)
from app.domain.ports import FacePipeline

UNUSABLE = (
    ImageTooLargeError,
    InvalidImageError,
    MultipleFacesError,
    NoFaceError,
    UnsupportedMediaTypeError,
)
"""Errors that say something about the photo, not about the service."""

_CODES = {
    NoFaceError.code: ReasonCode.NO_FACE,
    MultipleFacesError.code: ReasonCode.MULTIPLE_FACES,
}


def reason_of(error: FacetwinError) -> Reason:
    """One of `UNUSABLE` as the reason of a rejection."""
    return Reason(_CODES.get(error.code, ReasonCode.INVALID_IMAGE), error.message)


def invalid(message: str) -> Reason:
    """The reason for a photo that is not even looked at."""
    return Reason(ReasonCode.INVALID_IMAGE, message)


def duplicate_of(other: str) -> Reason:
    """The reason for a photo that the subject has already; `other` names which."""
    return Reason(ReasonCode.DUPLICATE_IMAGE, f"The subject has this photo already: {other}.")


def analyze_reference(
    pipeline: FacePipeline, data: bytes, policy: FacePolicy
) -> FaceTemplate | tuple[Reason, ...]:
    """The template of a photo that can be a reference; else the reasons why it can't."""
    try:
        template = pipeline.analyze(data, policy)
    except UNUSABLE as error:
        return (reason_of(error),)
    return template.quality.blocking or template
