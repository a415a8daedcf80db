"""Looks at single photos of the folder; touches no database."""

import errno
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from app.domain.entities import FacePolicy, FaceTemplate, Reason
from app.domain.ports import FacePipeline
from app.domain.subjects import subject_key
from app.services.photos import analyze_reference, duplicate_of, invalid
from app.storage.cipher import UndecryptableError
from app.storage.files import ReferenceFiles
from app.storage.folders import ABSENT
from app.storage.records import FileStamp, FolderImage, SkippedRecord
from app.storage.scan import FolderFile

Twins = Mapping[tuple[str, str], str]
"""Path of a reference by its subject's key and a sha256."""
_log = logging.getLogger("facetwin.encryption")


@dataclass(frozen=True, slots=True)
class Task:
    """A photo that must be read, with what was known of it.

    Attributes:
        twins: References that it may repeat.
    """

    file: FolderFile
    known: FolderImage | None
    skipped: SkippedRecord | None
    twins: Twins


@dataclass(frozen=True, slots=True)
class Finding:
    """What a photo turned out to be.

    Attributes:
        sha256: Of its content; empty if it was not read, or not to its end.
        template: If it can be a reference.
        reasons: If it can't. With neither, the file was touched but not changed.
        again: Whether it is worth trying again although the file does not change.
    """

    file: FolderFile
    sha256: str
    stamp: FileStamp
    policy: FacePolicy = FacePolicy.PROMINENT
    template: FaceTemplate | None = None
    reasons: tuple[Reason, ...] = ()
    again: bool = False


class PhotoExaminer:
    """Reads folder photos and embeds those that need it; safe to use from many threads.

    Args:
        max_image_bytes: Larger files are not read.
        policy: Which face of a new photo is meant.
    """

    def __init__(
        self,
        files: ReferenceFiles,
        pipeline: FacePipeline,
        max_image_bytes: int,
        policy: FacePolicy,
    ) -> None:
        self._policy = policy
        self._files = files
        self._pipeline = pipeline
        self._max_image_bytes = max_image_bytes
        self._warned: set[tuple[str, FileStamp]] = set()

    def examine(self, task: Task) -> Finding | None:
        """What a photo turns out to be; None if it is gone."""
        file = task.file
        try:
            data, stamp = self._files.read(file.path, self._max_image_bytes)
        except OSError as error:
            # Gone, or swapped for a link, since the folder was listed?
            return None if error.errno in ABSENT else self._unreadable(file, error)
        except UndecryptableError as error:
            self._warn(file)
            return _unread(file, error.message, again=True)
        if len(data) > self._max_image_bytes:
            return self._too_large(file)
        digest = sha256(data).hexdigest()
        try:
            return _remembered(task, digest, stamp) or self._look(task, data, digest, stamp)
        except Exception as error:  # noqa: BLE001 - one photo must not keep out all others
            _log.warning("A photo of the folder can't be examined: %s", type(error).__name__)
            return _unread(file, "The photo can't be examined: it makes the model fail.")

    def _unreadable(self, file: FolderFile, error: OSError) -> Finding:
        if error.errno == errno.EFBIG:
            return self._too_large(file)
        return _unread(file, f"The file can't be read: {error.strerror}.", again=True)

    def _too_large(self, file: FolderFile) -> Finding:
        return _unread(file, f"The file is larger than {self._max_image_bytes} bytes.")

    def _warn(self, file: FolderFile) -> None:
        """Say once that a file can't be decrypted; its name may be that of a person."""
        if (file.path, file.stamp) not in self._warned:
            self._warned.add((file.path, file.stamp))
            _log.warning("A photo of the folder can't be decrypted; its reference, if any, is kept")

    def _look(self, task: Task, data: bytes, digest: str, stamp: FileStamp) -> Finding:
        policy = task.known.image.face_policy if task.known else self._policy
        found = analyze_reference(self._pipeline, data, policy)
        if isinstance(found, FaceTemplate):
            return Finding(task.file, digest, stamp, policy, template=found)
        return Finding(task.file, digest, stamp, policy, reasons=found)


def twins_of(known: Mapping[str, FolderImage]) -> Twins:
    """Index references by what they contain; the first path wins."""
    twins: dict[tuple[str, str], str] = {}
    for path, entry in sorted(known.items()):
        for digest in (entry.image.sha256, entry.image.source_sha256):
            twins.setdefault((entry.subject_key, digest), path)
    return twins


def _remembered(task: Task, digest: str, stamp: FileStamp) -> Finding | None:
    """The finding that follows from the content's hash alone, if one does."""
    file, known = task.file, task.known
    if known and known.image.sha256 == digest:
        return Finding(file, digest, stamp) if known.embedded else None
    if task.skipped and task.skipped.sha256 == digest:
        return Finding(file, digest, stamp, reasons=task.skipped.reasons)
    twin = task.twins.get((subject_key(file.subject), digest), file.path)
    if twin != file.path:
        return Finding(file, digest, stamp, reasons=(duplicate_of(twin),))
    return None


def _unread(file: FolderFile, why: str, *, again: bool = False) -> Finding:
    return Finding(file, "", file.stamp, reasons=(invalid(why),), again=again)
