"""Enrolment: photos in, references out, and for each photo that is refused the reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Final

from app.domain.entities import Face, FacePolicy, FaceTemplate, Floats, Quality, Reason, ReasonCode
from app.domain.errors import (
    EnrollmentRejectedError,
    InvalidRequestError,
    NoReferencesError,
    SubjectNotFoundError,
    UnsupportedFmrError,
)
from app.domain.ports import FacePipeline
from app.domain.subjects import subject_key
from app.services.gallery import Gallery
from app.services.photos import UNUSABLE, analyze_reference, duplicate_of, reason_of
from app.services.reference_store import NewPhoto
from app.storage.records import EmbeddingRecord

OUTLIER_REFERENCES: Final = 3
"""References a subject must have before a new photo is held against them."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it was sent; `filename` is only repeated in the answer."""

    filename: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A photo that became a reference; `quality.reasons` may hold advisory findings."""

    image_id: str
    filename: str
    face: Face
    quality: Quality


@dataclass(frozen=True, slots=True)
class Rejected:
    """A photo that did not, and why."""

    filename: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class EnrollmentResult:
    """What became of the photos; `references` is the subject's total afterwards."""

    subject: str
    enrolled: tuple[Enrolled, ...]
    rejected: tuple[Rejected, ...]
    references: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    filename: str
    photo: NewPhoto


class Enrollment:
    """Adds photos to the gallery.

    Args:
        max_fmr: Prices the threshold under which a photo that differs from the subject's other
            references is called an outlier.
    """

    def __init__(self, gallery: Gallery, pipeline: FacePipeline, max_fmr: float = 0.001) -> None:
        self._gallery = gallery
        self._pipeline = pipeline
        self._max_fmr = max_fmr

    def enroll(
        self,
        subject: str,
        uploads: Sequence[Upload],
        policy: FacePolicy = FacePolicy.PROMINENT,
    ) -> EnrollmentResult:
        """Enroll the photos that can be used, and say why the others can't.

        Raises:
            InvalidRequestError: If the name is not allowed or there are no photos.
            EnrollmentRejectedError: If none can be used; then nothing is changed.
            StorageError: If they can't be stored; then nothing is changed.
        """
        subject_key(subject)
        if not uploads:
            raise InvalidRequestError("Send at least one photo.", field="files")
        candidates, rejected = self._examine(subject, uploads, policy)
        stored = self._gallery.add(subject, [c.photo for c in candidates]) if candidates else []
        enrolled: list[Enrolled] = []
        for candidate, outcome in zip(candidates, stored, strict=True):
            if outcome.duplicate:
                # Another request enrolled the same photo since it was looked up.
                rejected.append(Rejected(candidate.filename, (duplicate_of(outcome.image_id),)))
            else:
                enrolled.append(_enrolled(candidate, outcome.image_id))
        if not enrolled:
            raise _all_rejected(rejected)
        summary = self._gallery.summary(subject)
        return EnrollmentResult(
            summary.subject if summary else subject,
            tuple(enrolled),
            tuple(rejected),
            summary.references if summary else 0,
        )

    def _examine(
        self, subject: str, uploads: Sequence[Upload], policy: FacePolicy
    ) -> tuple[list[_Candidate], list[Rejected]]:
        others = self._references(subject)
        seen: dict[str, str] = {}
        candidates: list[_Candidate] = []
        rejected: list[Rejected] = []
        for upload in uploads:
            photo = self._candidate(subject, upload, policy, others, seen)
            if isinstance(photo, NewPhoto):
                candidates.append(_Candidate(upload.filename, photo))
                seen |= dict.fromkeys((photo.sha256, photo.source_sha256), upload.filename)
            else:
                rejected.append(Rejected(upload.filename, photo))
        return candidates, rejected

    def _candidate(
        self,
        subject: str,
        upload: Upload,
        policy: FacePolicy,
        others: Floats | None,
        seen: Mapping[str, str],
    ) -> NewPhoto | tuple[Reason, ...]:
        """The photo as it would be stored; else the reasons against it."""
        source_hash = sha256(upload.data).hexdigest()
        try:
            data = self._pipeline.normalize(upload.data)
        except UNUSABLE as error:
            return (reason_of(error),)
        hashes = (sha256(data).hexdigest(), source_hash)
        twin = self._twin(subject, hashes, seen)
        if twin is not None:
            return (duplicate_of(twin),)
        found = analyze_reference(self._pipeline, data, policy)
        if not isinstance(found, FaceTemplate):
            return found
        quality = self._with_outlier(found, others)
        embedding = EmbeddingRecord(found.embedding, found.face, quality)
        return NewPhoto(data, *hashes, policy, embedding)

    def _twin(self, subject: str, hashes: tuple[str, str], seen: Mapping[str, str]) -> str | None:
        """What the photo repeats: a file of this request or a reference of the subject."""
        filename = next((seen[digest] for digest in hashes if digest in seen), None)
        return filename if filename is not None else self._gallery.twin(subject, hashes)

    def _references(self, subject: str) -> Floats | None:
        """Embeddings to hold new photos against, if there are enough."""
        try:
            _, references, matrix = self._gallery.references(subject)
        except (SubjectNotFoundError, NoReferencesError):
            return None
        return matrix if len(references) >= OUTLIER_REFERENCES else None

    def _with_outlier(self, template: FaceTemplate, others: Floats | None) -> Quality:
        """The photo's quality, with an advisory finding if it looks like another person."""
        quality = template.quality
        if others is None:
            return quality
        decider = self._pipeline.decider
        try:
            point = decider.calibration.operating_point(self._max_fmr, len(others))
        except UnsupportedFmrError:
            return quality
        score = decider.fused_score(template.embedding, others)
        if score >= point.threshold:
            return quality
        outlier = Reason(
            ReasonCode.OUTLIER,
            "The face differs from the subject's other references. Check that it is the same "
            "person.",
            measured=score,
            required=point.threshold,
            blocking=False,
        )
        return replace(quality, reasons=(*quality.reasons, outlier))


def _enrolled(candidate: _Candidate, image_id: str) -> Enrolled:
    embedding = candidate.photo.embedding
    return Enrolled(image_id, candidate.filename, embedding.face, embedding.quality)


def _all_rejected(rejected: Sequence[Rejected]) -> EnrollmentRejectedError:
    return EnrollmentRejectedError(
        "None of the photos can be used. The reasons say what to change.",
        rejected=[
            {"filename": r.filename, "reasons": [asdict(reason) for reason in r.reasons]}
            for r in rejected
        ],
    )
