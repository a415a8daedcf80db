"""`/verify`, `/compare` and `/detect`: one look at a photo, nothing stored."""

from typing import Annotated

from fastapi import APIRouter, File

from app.api.answers import detect_answer, verdict_answer
from app.api.dependencies import (
    ActorDep,
    CallerDep,
    MetricsDep,
    PoolDep,
    RequestIdDep,
    RuntimeDep,
    SettingsDep,
)
from app.api.errors import ForbiddenError
from app.api.forms import PhotoRoute, content_of
from app.api.openapi import problems
from app.api.parameters import CompareForm, DetectForm, VerifyForm
from app.api.schemas import DetectOut, VerdictOut

router = APIRouter(route_class=PhotoRoute, tags=["verification"])

_PHOTO_PROBLEMS = (
    "invalid_request",
    "invalid_image",
    "image_too_large",
    "unsupported_media_type",
    "overloaded",
    "not_ready",
)
_FACE_PROBLEMS = (*_PHOTO_PROBLEMS, "no_face", "multiple_faces", "unsupported_fmr")


@router.post(
    "/verify",
    summary="Is the person on this photo the person enrolled?",
    response_model_exclude_unset=True,
    responses=problems(
        *_FACE_PROBLEMS, "subject_not_found", "no_references", "forbidden", "storage_unavailable"
    ),
)
async def verify(
    *,
    form: Annotated[VerifyForm, File()],
    runtime: RuntimeDep,
    pool: PoolDep,
    settings: SettingsDep,
    metrics: MetricsDep,
    request_id: RequestIdDep,
    caller: CallerDep,
    actor: ActorDep,
) -> VerdictOut:
    """Compare a photo with all references of a subject.

    The policy `calibrated` holds the fused score against a threshold that is priced at `max_fmr`.
    Passing a threshold chooses the policy `vote`, the rule of the seed tutorial.
    """
    if form.detail and not caller.sees_scores:
        raise ForbiddenError(
            "detail=true shows the scores of single references. It needs an API key of the role "
            "admin, or a service that listens on loopback without keys."
        )
    options = form.options(settings)
    data = await content_of(form.file)
    result = await pool.run(runtime.verification.verify, data, form.subject, options, actor)
    metrics.count_verdict(result.verdict, result.timing_ms)
    return verdict_answer(result, request_id, detail=form.detail)


@router.post(
    "/compare",
    summary="Do these two photos show the same person?",
    response_model_exclude_unset=True,
    responses=problems(*_FACE_PROBLEMS),
)
async def compare(
    *,
    form: Annotated[CompareForm, File()],
    runtime: RuntimeDep,
    pool: PoolDep,
    settings: SettingsDep,
    metrics: MetricsDep,
    request_id: RequestIdDep,
    actor: ActorDep,
) -> VerdictOut:
    """The verdict of `/verify` with the target as the one reference. Nothing is stored.

    `face` and `quality` are those of the source; `reasons` holds the findings on both photos.
    """
    options = form.options(settings)
    source, target = await content_of(form.source), await content_of(form.target)
    result = await pool.run(runtime.verification.compare, source, target, options, actor)
    metrics.count_verdict(result.verdict, result.timing_ms)
    return verdict_answer(result, request_id, detail=False)


@router.post(
    "/detect", summary="Which faces does this photo show?", responses=problems(*_PHOTO_PROBLEMS)
)
async def detect(
    *,
    form: Annotated[DetectForm, File()],
    runtime: RuntimeDep,
    pool: PoolDep,
    request_id: RequestIdDep,
) -> DetectOut:
    """All faces with box, landmarks, score and quality. A photo without a face is not an error."""
    found = await pool.run(runtime.verification.detect, await content_of(form.file))
    return detect_answer(found, request_id)
