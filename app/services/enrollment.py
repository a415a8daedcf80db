"""Enrolment: photos in, references out, and for each photo that is refused the reasons."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Final

import numpy as np

from app.domain.audit import COMMAND, Action, Actor, AuditEvent
from app.domain.decisions import Decider
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
from app.services.audit import AuditLog
from app.services.gallery import Gallery
from app.services.photos import UNUSABLE, analyze_reference, duplicate_of, reason_of
from app.services.reference_store import NewPhoto, Stored
from app.services.succession import Succession
from app.storage.records import EmbeddingRecord

OUTLIER_REFERENCES: Final = 3
"""Other photos of a subject that a new one is held against, at least."""

_log = logging.getLogger("facetwin.models")


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
        succession: Tells which other bundle photos are to be embedded under, too.
    """

    def __init__(
        self,
        gallery: Gallery,
        pipeline: FacePipeline,
        audit: AuditLog,
        max_fmr: float = 0.001,
        succession: Succession | None = None,
    ) -> None:
        self.succession = succession or Succession()
        self._gallery = gallery
        self._pipeline = pipeline
        self._audit = audit
        self._max_fmr = max_fmr

    def enroll(
        self,
        subject: str,
        uploads: Sequence[Upload],
        policy: FacePolicy = FacePolicy.PROMINENT,
        actor: Actor = COMMAND,
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
        with self.succession.enrolling() as coming:
            candidates, rejected = self._examine(subject, uploads, policy)
            stored = self._add(subject, _embedded_by(self._other(coming), candidates), actor)
        enrolled: list[Enrolled] = []
        for candidate, outcome in zip(candidates, stored, strict=True):
            if outcome.duplicate:
                # Another request enrolled the same photo since it was looked up.
                rejected.append(Rejected(candidate.filename, (duplicate_of(outcome.image_id),)))
            else:
                enrolled.append(_enrolled(candidate, outcome.image_id))
        if not enrolled:
            error = _all_rejected(rejected)
            self._audit.record(
                AuditEvent(
                    Action.ENROLL,
                    actor,
                    self._audit.pseudonym(subject_key(subject)),
                    error.code,
                    {"rejected": len(rejected)},
                )
            )
            raise error
        summary = self._gallery.summary(subject)
        return EnrollmentResult(
            summary.subject if summary else subject,
            tuple(enrolled),
            tuple(rejected),
            summary.references if summary else 0,
        )

    def _other(self, coming: FacePipeline | None) -> FacePipeline | None:
        """The pipeline that was announced, if it is not the one of this enrolment."""
        is_own = coming is None or coming.fingerprint == self._pipeline.fingerprint
        return None if is_own else coming

    def _add(
        self, subject: str, candidates: Sequence[_Candidate], actor: Actor
    ) -> Sequence[Stored]:
        if not candidates:
            return ()
        return self._gallery.add(subject, [c.photo for c in candidates], actor)

    def _examine(
        self, subject: str, uploads: Sequence[Upload], policy: FacePolicy
    ) -> tuple[list[_Candidate], list[Rejected]]:
        seen: dict[str, str] = {}
        candidates: list[_Candidate] = []
        rejected: list[Rejected] = []
        for upload in uploads:
            photo = self._candidate(subject, upload, policy, seen)
            if isinstance(photo, NewPhoto):
                candidates.append(_Candidate(upload.filename, photo))
                seen |= dict.fromkeys((photo.sha256, photo.source_sha256), upload.filename)
            else:
                rejected.append(Rejected(upload.filename, photo))
        return self._with_outliers(subject, candidates), rejected

    def _candidate(
        self,
        subject: str,
        upload: Upload,
        policy: FacePolicy,
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
        embedding = EmbeddingRecord(found.embedding, found.face, found.quality)
        return NewPhoto(data, *hashes, policy, embedding)

    def _twin(self, subject: str, hashes: tuple[str, str], seen: Mapping[str, str]) -> str | None:
        """What the photo repeats: a file of this request or a reference of the subject."""
        filename = next((seen[digest] for digest in hashes if digest in seen), None)
        return filename if filename is not None else self._gallery.twin(subject, hashes)

    def _with_outliers(self, subject: str, candidates: list[_Candidate]) -> list[_Candidate]:
        """The candidates, with an advisory finding on each that looks like another person.

        Each is held against the subject's references and the other candidates.
        """
        if not candidates:
            return []
        own = np.stack([c.photo.embedding.vector for c in candidates])
        references = self._references(subject)
        everyone = own if references is None else np.concatenate([own, references])
        decider = self._pipeline.decider.about(subject_key(subject))
        return [
            self._with_outlier(decider, candidate, np.delete(everyone, row, axis=0))
            for row, candidate in enumerate(candidates)
        ]

    def _references(self, subject: str) -> Floats | None:
        try:
            return self._gallery.references(subject)[2]
        except (SubjectNotFoundError, NoReferencesError):
            return None

    def _with_outlier(self, decider: Decider, candidate: _Candidate, others: Floats) -> _Candidate:
        if len(others) < OUTLIER_REFERENCES:
            return candidate
        embedding = candidate.photo.embedding
        try:
            point = decider.calibration.operating_point(self._max_fmr, len(others))
        except UnsupportedFmrError:
            return candidate
        score = decider.fused_score(embedding.vector, others)
        if score >= point.threshold:
            return candidate
        outlier = Reason(
            ReasonCode.OUTLIER,
            "The face differs from the subject's other photos. Check that it is the same person.",
            measured=score,
            required=point.threshold,
            blocking=False,
        )
        quality = replace(embedding.quality, reasons=(*embedding.quality.reasons, outlier))
        marked = replace(embedding, quality=quality)
        return replace(candidate, photo=replace(candidate.photo, embedding=marked))


def _embedded_by(
    pipeline: FacePipeline | None, candidates: Sequence[_Candidate]
) -> Sequence[_Candidate]:
    """The candidates, with what another pipeline makes of them."""
    if pipeline is None:
        return candidates
    return [replace(c, photo=_with_other(pipeline, c.photo)) for c in candidates]


def _with_other(pipeline: FacePipeline, photo: NewPhoto) -> NewPhoto:
    try:
        found = analyze_reference(pipeline, photo.data, photo.face_policy)
    except Exception as error:  # noqa: BLE001 - what serves must not fail with what may never serve
        _log.warning("The coming model fails on an enrolled photo: %s", type(error).__name__)
        return photo
    if isinstance(found, FaceTemplate):
        other = EmbeddingRecord(found.embedding, found.face, found.quality)
        return replace(photo, elsewhere={pipeline.fingerprint: other})
    return replace(photo, elsewhere={pipeline.fingerprint: found})


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
