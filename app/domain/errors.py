"""Errors with a stable `code`; the API turns them into problem+json in one place."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self


class FacetwinError(Exception):
    """Base of every error that a caller may see.

    Args:
        message: One sentence for a person; it never carries image content.
        extra: Further members of the problem document (numbers, names, limits).
    """

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.message = message
        self.extra: Mapping[str, Any] = extra


class InvalidRequestError(FacetwinError):
    """A parameter is missing, malformed or out of range."""

    code = "invalid_request"


class InvalidImageError(FacetwinError):
    """The bytes are not an image that can be decoded."""

    code = "invalid_image"


class ImageTooLargeError(FacetwinError):
    """The image has more bytes or pixels than the service accepts."""

    code = "image_too_large"


class UnsupportedMediaTypeError(FacetwinError):
    """The bytes are not JPEG, PNG, WebP or BMP."""

    code = "unsupported_media_type"


class NoFaceError(FacetwinError):
    """No face was found."""

    code = "no_face"


class MultipleFacesError(FacetwinError):
    """More than one face was found under the face policy `single`."""

    code = "multiple_faces"


class EnrollmentRejectedError(FacetwinError):
    """Every uploaded photo was rejected; `extra["rejected"]` holds the reasons."""

    code = "enrollment_rejected"


class SubjectNotFoundError(FacetwinError):
    """No subject of this name exists."""

    code = "subject_not_found"


class ImageNotFoundError(FacetwinError):
    """The subject has no reference of this image_id."""

    code = "image_not_found"


class NoReferencesError(FacetwinError):
    """The subject exists but has no usable reference."""

    code = "no_references"


class UnsupportedFmrError(FacetwinError):
    """The calibration has too few false matches to support the requested FMR."""

    code = "unsupported_fmr"


class OverloadedError(FacetwinError):
    """The inference pool and its queue are full."""

    code = "overloaded"


class ModelNotFoundError(FacetwinError):
    """No bundle of this version exists."""

    code = "model_not_found"


class BundleError(FacetwinError):
    """A bundle is incomplete, altered or not understood; it is not used."""

    code = "bundle_invalid"


class ActivationRunningError(FacetwinError):
    """Another model is being activated."""

    code = "activation_running"


class StorageError(FacetwinError):
    """The gallery's database or files cannot be read or written."""

    code = "storage_unavailable"


class JobNotFoundError(FacetwinError):
    """No training job of this id exists."""

    code = "job_not_found"


class JobConflictError(FacetwinError):
    """The job is in a state in which this can't be done."""

    code = "job_conflict"


class TrainingUnavailableError(FacetwinError):
    """What training needs is not installed."""

    code = "training_unavailable"


class TrainingDataError(FacetwinError):
    """The photos would give a meaningless result; `extra["problems"]` lists why."""

    code = "training_data_invalid"
    heading: str | None = None
    """What stands above a list of the problems; None for the message."""

    @classmethod
    def of(cls, problems: Sequence[Mapping[str, Any]], heading: str = "") -> Self:
        """An error whose message is the heading and what each problem says.

        Args:
            problems: Code and message of each, and whatever else there is to tell of it.
            heading: What stands above a list of them.
        """
        message = " ".join([heading, *(each["message"] for each in problems)]).strip()
        error = cls(message, problems=problems)
        error.heading = heading
        return error


class TrainingLimitError(FacetwinError):
    """A job took more time or memory than it may."""

    code = "training_limit_exceeded"


class ReportNotFoundError(FacetwinError):
    """The job has no report (yet), or it was erased."""

    code = "report_not_found"
