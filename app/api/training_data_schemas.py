"""The JSON of the answers about training photos."""

from pydantic import Field

from app.api.answers import reasons_answer
from app.api.schemas import Answer, RejectedOut
from app.domain.training import Role
from app.domain.training_photos import RoleSize
from app.services.training_data import AddedPhotos


class StoredPhotoOut(Answer):
    """A photo that is stored."""

    filename: str = Field(description="As it was sent.", examples=["IMG_0042.jpg"])
    file: str = Field(
        description="Path in the folder of training photos.",
        examples=["anchor/default/3f0a7c1d9e5b4a6f8d2c1b0a99887766.jpg"],
    )
    already_there: bool = Field(
        description="Whether the same photo was stored before, or came earlier in this request."
    )


class RoleSizeOut(Answer):
    """What one of the three folders holds. `facetwin data check` tells what it is good for."""

    photos: int = Field(description="Files that look like photos.", examples=[120])
    bytes: int = Field(description="Of these files.", examples=[31457280])
    folders: int = Field(description="Folders directly below that hold some.", examples=[1])
    people: int | None = Field(
        description="People in `negative`: folders, and photos that lie in none. Otherwise null."
    )


class AddedPhotosOut(Answer):
    """What became of each photo."""

    role: Role
    name: str | None = Field(
        description="The person's folder, as it is spelled; null for photos that lie in none.",
        examples=["default"],
    )
    stored: list[StoredPhotoOut]
    rejected: list[RejectedOut]
    total: RoleSizeOut = Field(description="What the role's folder holds now.")
    request_id: str


class TrainingDataOut(Answer):
    """What the three folders hold."""

    anchor: RoleSizeOut
    positive: RoleSizeOut
    negative: RoleSizeOut


class DeletedPhotosOut(Answer):
    """What was deleted."""

    role: Role
    name: str | None
    deleted: int = Field(description="Photos.", examples=[12])


def size_answer(role: Role, size: RoleSize) -> RoleSizeOut:
    """The counts of a role."""
    people = size.folders + size.loose if role is Role.NEGATIVE else None
    return RoleSizeOut(photos=size.photos, bytes=size.size, folders=size.folders, people=people)


def added_answer(added: AddedPhotos, request_id: str) -> AddedPhotosOut:
    """What became of uploads."""
    return AddedPhotosOut(
        role=added.role,
        name=added.name,
        stored=[
            StoredPhotoOut(
                filename=photo.filename,
                file=f"{added.role.value}/{photo.file}",
                already_there=photo.already_there,
            )
            for photo in added.stored
        ],
        rejected=[
            RejectedOut(filename=photo.filename, reasons=reasons_answer(photo.reasons))
            for photo in added.rejected
        ],
        total=size_answer(added.role, added.size),
        request_id=request_id,
    )
