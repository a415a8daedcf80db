"""From what the services return to what the API answers."""

from collections.abc import Iterable

from app.api.gallery_schemas import (
    DeletedOut,
    ImageOut,
    ReceiptOut,
    SkippedOut,
    SubjectDetailOut,
    SubjectOut,
    SubjectsOut,
)
from app.api.schemas import (
    DetectedFaceOut,
    DetectOut,
    EnrolledOut,
    EnrollOut,
    FaceOut,
    FmrOut,
    ModelOut,
    QualityOut,
    ReasonOut,
    ReferenceScoreOut,
    RejectedOut,
    VerdictOut,
    VotesOut,
)
from app.domain.entities import Quality, Reason, ReasonCode
from app.domain.ports import DetectedFaces, FacePipeline
from app.domain.receipts import ErasureReceipt
from app.services.enrollment import EnrollmentResult
from app.services.gallery import ReferenceInfo, SkippedFile, SubjectSummary
from app.services.verification import VerificationResult


def model_answer(pipeline: FacePipeline) -> ModelOut:
    """The bundle that serves."""
    return ModelOut(version=pipeline.version, fingerprint=pipeline.fingerprint)


def reasons_answer(reasons: Iterable[Reason]) -> list[ReasonOut]:
    """Findings about a photo."""
    return [ReasonOut.model_validate(reason) for reason in reasons]


def quality_answer(quality: Quality, *, scores: bool = False) -> QualityOut:
    """The quality of a face; what an outlier scored against references only with `scores`."""
    return QualityOut(
        acceptable=not quality.blocking,
        measures=dict(quality.measures),
        reasons=[
            reason.model_copy(update={"measured": None})
            if reason.code is ReasonCode.OUTLIER and not scores
            else reason
            for reason in reasons_answer(quality.reasons)
        ],
    )


def verdict_answer(result: VerificationResult, request_id: str, *, detail: bool) -> VerdictOut:
    """A verification or a comparison; scores of single references only with `detail`."""
    verdict, probe = result.verdict, result.probe
    answer = VerdictOut(
        verified=verdict.verified,
        decision=verdict.decision,
        subject=result.subject,
        score=verdict.score,
        threshold=verdict.threshold,
        policy=verdict.policy,
        fmr=None if verdict.fmr is None else FmrOut.model_validate(verdict.fmr),
        votes=VotesOut.model_validate(verdict.votes),
        face=FaceOut.model_validate(probe.face),
        faces=probe.faces,
        quality=quality_answer(probe.quality),
        reasons=reasons_answer(verdict.reasons),
        model=ModelOut(version=result.version, fingerprint=result.fingerprint),
        timing_ms=dict(result.timing_ms),
        request_id=request_id,
    )
    # What was never set is left out of the JSON.
    return answer.model_copy(update={"references": _scores(result)}) if detail else answer


def detect_answer(found: DetectedFaces, request_id: str) -> DetectOut:
    """All faces of a photo."""
    faces = [
        DetectedFaceOut(face=FaceOut.model_validate(face), quality=quality_answer(quality))
        for face, quality in found.faces
    ]
    return DetectOut(width=found.width, height=found.height, faces=faces, request_id=request_id)


def enroll_answer(result: EnrollmentResult, request_id: str, *, scores: bool) -> EnrollOut:
    """What became of each photo of an enrolment; `scores` as in `quality_answer`."""
    enrolled = [
        EnrolledOut(
            image_id=photo.image_id,
            filename=photo.filename,
            face=FaceOut.model_validate(photo.face),
            quality=quality_answer(photo.quality, scores=scores),
        )
        for photo in result.enrolled
    ]
    rejected = [
        RejectedOut(filename=photo.filename, reasons=reasons_answer(photo.reasons))
        for photo in result.rejected
    ]
    return EnrollOut(
        subject=result.subject,
        enrolled=enrolled,
        rejected=rejected,
        references=result.references,
        request_id=request_id,
    )


def _scores(result: VerificationResult) -> list[ReferenceScoreOut]:
    scores = zip(result.references, result.verdict.reference_scores.tolist(), strict=True)
    return [ReferenceScoreOut(image_id=each.image_id, score=score) for each, score in scores]


def subject_answer(summary: SubjectSummary) -> SubjectOut:
    """A person of the gallery."""
    return SubjectOut.model_validate(summary)


def subjects_answer(
    summaries: Iterable[SubjectSummary], skipped: Iterable[SkippedFile]
) -> SubjectsOut:
    """Everyone in the gallery, and the photos in the folder that nobody is compared with."""
    return SubjectsOut(
        subjects=[subject_answer(summary) for summary in summaries],
        skipped=[
            SkippedOut(path=file.path, reasons=reasons_answer(file.reasons)) for file in skipped
        ],
    )


def subject_detail_answer(
    summary: SubjectSummary, images: Iterable[ReferenceInfo], *, scores: bool
) -> SubjectDetailOut:
    """A person of the gallery with all references; `scores` as in `quality_answer`."""
    return SubjectDetailOut(
        subject=summary.subject,
        references=summary.references,
        created_at=summary.created_at,
        images=[image_answer(image, scores=scores) for image in images],
    )


def image_answer(image: ReferenceInfo, *, scores: bool) -> ImageOut:
    """A reference and what is known about it; `scores` as in `quality_answer`."""
    return ImageOut(
        image_id=image.image_id,
        filename=image.filename,
        source=image.source,
        created_at=image.created_at,
        sha256=image.sha256,
        face=None if image.face is None else FaceOut.model_validate(image.face),
        quality=None if image.quality is None else quality_answer(image.quality, scores=scores),
    )


def deleted_answer(receipt: ErasureReceipt) -> DeletedOut:
    """An erasure with its receipt."""
    return DeletedOut(
        subject=receipt.subject,
        deleted=receipt.removed.references,
        receipt=ReceiptOut.model_validate(receipt),
    )
