"""`/data`: photos for training. What lies in the folders by other ways is counted and deleted too.

Photos come in through the inference pool, as they are decoded; the other calls only touch files and
run on the framework's own threads.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, File, status
from starlette.requests import Request

from app.api.dependencies import ActorDep, PoolDep, RequestIdDep, refuse_query
from app.api.forms import PhotoRoute, content_of
from app.api.openapi import problems
from app.api.parameters import TrainingPhotosForm
from app.api.schemas import RejectedOut
from app.api.state import runtime_of, settings_of
from app.api.training_data_schemas import (
    AddedPhotosOut,
    DeletedPhotosOut,
    TrainingDataOut,
    added_answer,
    size_answer,
)
from app.domain.errors import EnrollmentRejectedError
from app.domain.training import Role
from app.services.enrollment import Upload
from app.services.training_data import TrainingData

# Both have the prefix: logs and metrics name a route as the router that it is in knows it.
_uploads = APIRouter(prefix="/data", route_class=PhotoRoute)
_folders = APIRouter(prefix="/data")
router = APIRouter(tags=["training"])


async def _training_data(request: Request) -> TrainingData:
    settings, runtime = settings_of(request), runtime_of(request)
    crops_dir = settings.training_dir / "crops"
    return TrainingData(
        settings.data_dir, crops_dir, runtime.pipeline, runtime.audit, runtime.database
    )


TrainingDataDep = Annotated[TrainingData, Depends(_training_data)]

_DELETE_PROBLEMS: Final = ("invalid_request", "job_conflict", "storage_unavailable")


@_uploads.post(
    "/{role}",
    summary="Add photos for training",
    status_code=status.HTTP_201_CREATED,
    dependencies=[Depends(refuse_query)],
    responses=problems(
        "invalid_request",
        "image_too_large",
        "unsupported_media_type",
        "enrollment_rejected",
        "overloaded",
        "storage_unavailable",
    ),
)
async def add_photos(
    *,
    role: Role,
    form: Annotated[TrainingPhotosForm, File()],
    data: TrainingDataDep,
    pool: PoolDep,
    request_id: RequestIdDep,
    actor: ActorDep,
) -> AddedPhotosOut:
    """Store each photo that can be decoded, upright and without metadata.

    Whether a face can be seen on it is found out before training. The photos are not encrypted,
    whatever FACETWIN_ENCRYPTION_KEY says. One whose like is in the folder already is left there,
    so a request can be repeated. If no photo can be used the answer is `enrollment_rejected`.
    """
    name = form.name(role)
    uploads = [Upload(photo.filename or "", await content_of(photo)) for photo in form.files]
    try:
        added = await pool.run(data.add, role, name, uploads, actor)
    except EnrollmentRejectedError as error:
        rejected = [RejectedOut.model_validate(photo) for photo in error.extra["rejected"]]
        raise EnrollmentRejectedError(error.message, rejected=rejected) from error
    return added_answer(added, request_id)


@_folders.get("", summary="Photos for training", responses=problems("storage_unavailable"))
def count_photos(data: TrainingDataDep) -> TrainingDataOut:
    """How many photos the three folders hold."""
    sizes = {role.value: size_answer(role, size) for role, size in data.sizes().items()}
    return TrainingDataOut(**sizes)


@_folders.delete(
    "/{role}",
    summary="Delete all training photos of a role",
    responses=problems(*_DELETE_PROBLEMS),
)
def delete_photos(role: Role, data: TrainingDataDep, actor: ActorDep) -> DeletedPhotosOut:
    """Delete every photo and folder of the role, and crops that were made of them.

    A training job that runs has to be cancelled before (`job_conflict`). Reports and checkpoints of
    jobs stay, and so do models: `DELETE /subjects/{subject}` erases a person.
    """
    return DeletedPhotosOut(role=role, name=None, deleted=data.delete(role, None, actor))


@_folders.delete(
    "/{role}/{name}",
    summary="Delete the training photos of a person in a role",
    responses=problems(*_DELETE_PROBLEMS, "subject_not_found"),
)
def delete_photos_of(
    role: Role, name: str, data: TrainingDataDep, actor: ActorDep
) -> DeletedPhotosOut:
    """Delete a folder of the role with all that lies in it, and crops that were made of it.

    A training job that runs has to be cancelled before (`job_conflict`).
    """
    return DeletedPhotosOut(role=role, name=name, deleted=data.delete(role, name, actor))


router.include_router(_uploads)
router.include_router(_folders)
