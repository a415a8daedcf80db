"""The form fields of the calls. A field that is not listed here is refused."""

from typing import Annotated

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field

from app.domain.decisions import (
    SEED_DETECTION_THRESHOLD,
    SEED_VERIFICATION_THRESHOLD,
    VoteRule,
)
from app.domain.entities import FacePolicy
from app.domain.errors import InvalidRequestError
from app.domain.subjects import DEFAULT_SUBJECT, SUBJECT_PATTERN
from app.domain.training import Role
from app.services.verification import VerifyOptions
from app.settings import Settings

SubjectName = Annotated[
    str,
    Field(
        description="Name of the person: 1 to 64 of A-Z a-z 0-9 . _ -, first a letter or digit; "
        "case does not matter.",
        json_schema_extra={"pattern": SUBJECT_PATTERN},
        examples=["anna"],
    ),
]
Threshold = Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False)]

_PHOTO = "JPEG, PNG, WebP or BMP."


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class _PolicyForm(_Form):
    face_policy: FacePolicy | None = Field(
        None, description="Which of several faces is meant. Default: the service's setting."
    )

    def policy(self, settings: Settings) -> FacePolicy:
        """The face policy of the request, else of the service."""
        return self.face_policy or settings.face_policy


class _DecisionForm(_PolicyForm):
    max_fmr: float | None = Field(
        None,
        gt=0,
        lt=1,
        allow_inf_nan=False,
        description="Largest false match rate that you accept. Default: the service's setting. "
        "Not together with a threshold.",
        examples=[0.001],
    )
    detection_threshold: Threshold = Field(
        None,
        description="Chooses the policy `vote`: a reference votes for a match when its "
        "probability exceeds this (0.5 if only the other threshold is given).",
    )
    verification_threshold: Threshold = Field(
        None,
        description="Chooses the policy `vote`: the share of votes must exceed this "
        "(0.5 if only the other threshold is given).",
    )

    def options(self, settings: Settings) -> VerifyOptions:
        """How to decide.

        Raises:
            InvalidRequestError: If both policies are asked for.
        """
        vote = self._vote()
        if vote is not None and self.max_fmr is not None:
            raise InvalidRequestError(
                "Send max_fmr (policy calibrated) or a threshold (policy vote), not both.",
                field="max_fmr",
            )
        max_fmr = settings.max_fmr if self.max_fmr is None else self.max_fmr
        return VerifyOptions(max_fmr=max_fmr, vote=vote, policy=self.policy(settings))

    def _vote(self) -> VoteRule | None:
        if self.detection_threshold is None and self.verification_threshold is None:
            return None
        return VoteRule(
            _or_default(self.detection_threshold, SEED_DETECTION_THRESHOLD),
            _or_default(self.verification_threshold, SEED_VERIFICATION_THRESHOLD),
        )


class VerifyForm(_DecisionForm):
    """A probe and the person it is said to show."""

    file: UploadFile = Field(description=f"The probe. {_PHOTO}")
    subject: SubjectName = DEFAULT_SUBJECT
    detail: bool = Field(
        False,
        description="Answer with the score of each reference; needs an API key of "
        "the role admin, or a service on loopback without keys.",
    )


class CompareForm(_DecisionForm):
    """Two photos; nothing is stored."""

    source: UploadFile = Field(description=f"The photo in question. {_PHOTO}")
    target: UploadFile = Field(description=f"The photo that it is compared with. {_PHOTO}")


class DetectForm(_Form):
    """A photo."""

    file: UploadFile = Field(description=_PHOTO)


class EnrollForm(_PolicyForm):
    """Photos of one person."""

    files: list[UploadFile] = Field(min_length=1, description=f"One or more photos. {_PHOTO}")
    subject: SubjectName = DEFAULT_SUBJECT


class TrainingPhotosForm(_Form):
    """Photos of one person for training; of others, possibly of one person each."""

    files: list[UploadFile] = Field(min_length=1, description=f"One or more photos. {_PHOTO}")
    subject: SubjectName | None = Field(
        None, description="For `anchor` and `positive`: whom they show. Default: `default`."
    )
    person: SubjectName | None = Field(
        None,
        description="For `negative`: a name for whom they show. Without it each photo is taken for "
        "a person of its own.",
    )

    def name(self, role: Role) -> str | None:
        """The person's folder in that of the role; None if the photos lie in none.

        Raises:
            InvalidRequestError: If the other field was sent.
        """
        if role is Role.NEGATIVE:
            if self.subject is not None:
                raise InvalidRequestError(
                    "Photos in negative show others: send person instead of subject, or neither.",
                    field="subject",
                )
            return self.person
        if self.person is not None:
            raise InvalidRequestError(
                f"Photos in {role.value} show a subject: send subject instead of person.",
                field="person",
            )
        return self.subject or DEFAULT_SUBJECT


def _or_default(value: float | None, default: float) -> float:
    return default if value is None else value
