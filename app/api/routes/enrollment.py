"""`/enroll`: photos become references."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, File, status

from app.api.answers import enroll_answer
from app.api.dependencies import (
    ActorDep,
    CallerDep,
    MetricsDep,
    PoolDep,
    RequestIdDep,
    RuntimeDep,
    SettingsDep,
)
from app.api.forms import PhotoRoute, content_of
from app.api.openapi import problems
from app.api.parameters import EnrollForm
from app.api.schemas import EnrollOut, RejectedOut
from app.domain.errors import EnrollmentRejectedError
from app.metrics import Metrics
from app.services.enrollment import Upload

router = APIRouter(route_class=PhotoRoute, tags=["enrollment"])


@router.post(
    "/enroll",
    summary="Enroll a person from photos",
    status_code=status.HTTP_201_CREATED,
    responses=problems(
        "invalid_request",
        "image_too_large",
        "unsupported_media_type",
        "enrollment_rejected",
        "overloaded",
        "storage_unavailable",
    ),
)
async def enroll(
    *,
    form: Annotated[EnrollForm, File()],
    runtime: RuntimeDep,
    pool: PoolDep,
    settings: SettingsDep,
    metrics: MetricsDep,
    request_id: RequestIdDep,
    caller: CallerDep,
    actor: ActorDep,
) -> EnrollOut:
    """Store each photo that is good enough; the others are answered with their reasons.

    If every photo is rejected nothing changes and the answer is `enrollment_rejected`.
    """
    uploads = [Upload(photo.filename or "", await content_of(photo)) for photo in form.files]
    policy = form.policy(settings)
    try:
        result = await pool.run(runtime.enrollment.enroll, form.subject, uploads, policy, actor)
    except EnrollmentRejectedError as error:
        rejected = [RejectedOut.model_validate(photo) for photo in error.extra["rejected"]]
        _count(metrics, rejected)
        raise EnrollmentRejectedError(error.message, rejected=rejected) from error
    answer = enroll_answer(result, request_id, scores=caller.sees_scores)
    _count(metrics, answer.rejected)
    return answer


def _count(metrics: Metrics, rejected: Iterable[RejectedOut]) -> None:
    for photo in rejected:
        for reason in photo.reasons:
            metrics.rejections.labels(reason.code.value).inc()
