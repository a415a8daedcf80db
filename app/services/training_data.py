"""Training photos by upload: decoded, upright, without metadata, each content once in a folder."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from app.domain.audit import COMMAND, Action, Actor, AuditEvent
from app.domain.errors import (
    EnrollmentRejectedError,
    InvalidRequestError,
    JobConflictError,
    SubjectNotFoundError,
)
from app.domain.ports import FacePipeline
from app.domain.subjects import subject_key
from app.domain.training import Role
from app.domain.training_photos import RoleSize
from app.services.audit import AuditLog
from app.services.enrollment import Rejected, Upload
from app.services.photos import UNUSABLE, reason_of
from app.storage.database import Database
from app.storage.job_erasure import running_job
from app.storage.training_files import TrainingFiles

_NAME_DIGITS: Final = 32
"""Digits of the content's sha256 that name a file: far too many to meet another's."""


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    """An upload that is stored.

    Attributes:
        filename: As it was sent.
        file: Path in the role's folder.
        already_there: Whether its like was stored before, or came earlier in the same request.
    """

    filename: str
    file: str
    already_there: bool = False


@dataclass(frozen=True, slots=True)
class AddedPhotos:
    """What became of uploads.

    Attributes:
        role: The folder of training photos.
        name: The person's folder in it, as it is spelled; None for photos that lie in none.
        stored: Photos that are stored now.
        rejected: The others, and why.
        size: What the role's folder holds now.
    """

    role: Role
    name: str | None
    stored: tuple[StoredPhoto, ...]
    rejected: tuple[Rejected, ...]
    size: RoleSize


class TrainingData:
    """Adds, counts and deletes training photos.

    Args:
        data_dir: Holds anchor/, positive/ and negative/.
        crops_dir: Cache of crops; those of a photo go with it.
        pipeline: Decodes photos.
        audit: Is told.
        database: Knows of the jobs.
    """

    def __init__(
        self,
        data_dir: Path,
        crops_dir: Path,
        pipeline: FacePipeline,
        audit: AuditLog,
        database: Database,
    ) -> None:
        self._data_dir = data_dir
        self._crops_dir = crops_dir
        self._pipeline = pipeline
        self._audit = audit
        self._database = database

    def add(
        self, role: Role, name: str | None, uploads: Sequence[Upload], actor: Actor = COMMAND
    ) -> AddedPhotos:
        """Store the photos that can be decoded; say why the others can't.

        One whose like is in the folder already is left there, so a request can be repeated.

        Args:
            role: The folder of training photos.
            name: Whom the photos show; None for negatives who are a person each.
            uploads: The photos.
            actor: Who sent them.

        Raises:
            InvalidRequestError: If the name is not allowed or there are no photos.
            EnrollmentRejectedError: If none can be decoded.
            StorageError: If they can't be stored. Sending them again is safe.
        """
        key = None if name is None else subject_key(name)
        if not uploads:
            raise InvalidRequestError("Send at least one photo.", field="files")
        files = TrainingFiles(self._data_dir, role)
        folder = files.folder_for(name) if name is not None else ""
        stored: list[StoredPhoto] = []
        rejected: list[Rejected] = []
        content: dict[str, bytes] = {}
        for upload in uploads:
            try:
                data = self._pipeline.normalize(upload.data)
            except UNUSABLE as error:
                rejected.append(Rejected(upload.filename, (reason_of(error),)))
                continue
            file = f"{sha256(data).hexdigest()[:_NAME_DIGITS]}.jpg"
            path = f"{folder}/{file}" if folder else file
            already_there = file in content or files.has(path)
            stored.append(StoredPhoto(upload.filename, path, already_there))
            if not already_there:
                content[file] = data
        if content:
            files.add(folder, list(content.items()))
        self._record(Action.ADD_TRAINING_PHOTOS, role, key, actor, stored=len(content))
        if not stored:
            raise EnrollmentRejectedError(
                "None of the photos was stored. The reasons say why.",
                rejected=[asdict(photo) for photo in rejected],
            )
        return AddedPhotos(role, folder or None, tuple(stored), tuple(rejected), files.size())

    def sizes(self) -> dict[Role, RoleSize]:
        """What the folders hold.

        Raises:
            StorageError: If one can't be read.
        """
        return {role: TrainingFiles(self._data_dir, role).size() for role in Role}

    def delete(self, role: Role, name: str | None = None, actor: Actor = COMMAND) -> int:
        """Delete all photos of a role, or those of a person; returns how many.

        Raises:
            InvalidRequestError: If the name is not allowed.
            JobConflictError: If a training job runs: it reads the photos and writes their crops.
            SubjectNotFoundError: If the role has no folder of this name.
            StorageError: If something can't be deleted.
        """
        key = None if name is None else subject_key(name)
        self._require_rest()
        files = TrainingFiles(self._data_dir, role)
        folders = [None] if name is None else files.folders_of(name)
        if not folders:
            raise SubjectNotFoundError(f"There is no folder {name} in {role.value}/.", subject=name)
        deleted = sum(files.remove(folder, self._crops_dir) for folder in folders)
        self._record(Action.DELETE_TRAINING_PHOTOS, role, key, actor, deleted=deleted)
        return deleted

    def _require_rest(self) -> None:
        with self._database.read_apart() as connection:
            job_id = running_job(connection)
        if job_id is not None:
            raise JobConflictError(
                f"The training job {job_id} reads these photos. Cancel it (facetwin jobs cancel "
                f"{job_id}), or wait until it has ended, and delete again.",
                job_id=job_id,
            )

    def _record(
        self, action: Action, role: Role, key: str | None, actor: Actor, **counts: int
    ) -> None:
        person = None if key is None else self._audit.pseudonym(key)
        details = {"role": role.value, **counts}
        self._audit.record(AuditEvent(action, actor, person, details=details))
