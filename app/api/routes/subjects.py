"""`/subjects`: the gallery, and deletion of a person's data.

These calls only touch the database and files, so they run on the framework's own threads and
never wait behind inference.
"""

from mimetypes import guess_type

from fastapi import APIRouter, status
from fastapi.responses import Response, StreamingResponse

from app.api.answers import deleted_answer, image_answer, subject_detail_answer, subjects_answer
from app.api.dependencies import ActorDep, CallerDep, RuntimeDep
from app.api.gallery_schemas import DeletedOut, ImageOut, SubjectDetailOut, SubjectsOut
from app.api.openapi import problems

router = APIRouter(prefix="/subjects", tags=["subjects"])

_SUBJECT_PROBLEMS = ("invalid_request", "subject_not_found", "storage_unavailable")
_IMAGE_PROBLEMS = (*_SUBJECT_PROBLEMS, "image_not_found")


@router.get("", summary="Everyone in the gallery", responses=problems("storage_unavailable"))
def list_subjects(runtime: RuntimeDep) -> SubjectsOut:
    """Subjects with the number of their references."""
    return subjects_answer(runtime.gallery.subjects(), runtime.gallery.health().report.skipped)


@router.get("/{subject}", summary="One person", responses=problems(*_SUBJECT_PROBLEMS))
def get_subject(subject: str, runtime: RuntimeDep, caller: CallerDep) -> SubjectDetailOut:
    """A subject with all references."""
    return subject_detail_answer(*runtime.gallery.subject(subject), scores=caller.sees_scores)


@router.delete(
    "/{subject}",
    summary="Delete all data of a person",
    responses=problems(*_SUBJECT_PROBLEMS, "job_conflict"),
)
def delete_subject(subject: str, runtime: RuntimeDep, actor: ActorDep) -> DeletedOut:
    """Remove the subject with its photos, embeddings and rows, and what training keeps.

    This can't be undone. A training job that may hold photos of the subject has to be cancelled
    before (`job_conflict`); models that were trained on them stay, and the receipt names them.

    The signed receipt is not kept by the service: it holds the name.
    """
    return deleted_answer(runtime.gallery.delete_subject(subject, actor))


@router.get(
    "/{subject}/export",
    summary="All data of a person",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
            "description": "A zip file: photos, embeddings, audit entries, and a README.",
        },
        **problems(*_SUBJECT_PROBLEMS),
    },
)
def export_subject(subject: str, runtime: RuntimeDep, actor: ActorDep) -> StreamingResponse:
    """What is stored about a person, for them: access and portability."""
    archive = runtime.gallery.export(subject, actor)
    disposition = f'attachment; filename="{archive.filename}"'
    return StreamingResponse(
        archive.chunks,
        media_type="application/zip",
        headers={"Content-Disposition": disposition, "Cache-Control": "no-store"},
    )


@router.get(
    "/{subject}/images/{image_id}",
    summary="One reference",
    responses=problems(*_IMAGE_PROBLEMS),
)
def get_image(subject: str, image_id: str, runtime: RuntimeDep, caller: CallerDep) -> ImageOut:
    """What is known about a reference."""
    return image_answer(runtime.gallery.image(subject, image_id), scores=caller.sees_scores)


@router.get(
    "/{subject}/images/{image_id}/content",
    summary="The photo of a reference",
    response_class=Response,
    responses={
        200: {"content": {"image/*": {}}, "description": "The stored file."},
        **problems(*_IMAGE_PROBLEMS),
    },
)
def get_image_content(
    subject: str, image_id: str, runtime: RuntimeDep, actor: ActorDep
) -> Response:
    """The photo: upright, without metadata if it was sent, as it is if found in the folder."""
    filename, photo = runtime.gallery.image_content(subject, image_id, actor)
    kind, _ = guess_type(filename)
    # A face must not linger in a shared cache after its person was deleted.
    return Response(photo, media_type=kind, headers={"Cache-Control": "no-store"})


@router.delete(
    "/{subject}/images/{image_id}",
    summary="Delete one reference",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(*_IMAGE_PROBLEMS),
)
def delete_image(subject: str, image_id: str, runtime: RuntimeDep, actor: ActorDep) -> None:
    """Remove a reference with its photo and embedding."""
    runtime.gallery.delete_image(subject, image_id, actor)
