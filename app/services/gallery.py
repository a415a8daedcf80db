"""The gallery: all references, in the database, in the folder and in memory."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Final

from app.domain.audit import COMMAND, SERVICE, Actor
from app.domain.entities import FacePolicy, Floats, Reference
from app.domain.errors import NoReferencesError
from app.domain.ports import FacePipeline
from app.domain.receipts import ErasureReceipt
from app.domain.subjects import DEFAULT_SUBJECT, subject_key
from app.services.audit import AuditLog
from app.services.erasure import Erasure
from app.services.export import Archive, SubjectExport
from app.services.finding_recorder import SkippedFile, SyncReport
from app.services.gallery_health import GalleryHealth, Problem, ProblemCode, with_others
from app.services.gallery_sync import FolderSync
from app.services.mending import Mending
from app.services.photo_examiner import PhotoExaminer
from app.services.photo_intake import ALL_WORKERS, Job, PhotoIntake, Progress, never, unwatched
from app.services.reference_store import NewPhoto, ReferenceStore, Stored
from app.services.settling import SETTLE_SECONDS, Clock, Settling
from app.services.snapshot import SnapshotCache
from app.services.subject_views import (
    ReferenceInfo,
    SubjectSummary,
    SubjectViews,
    summary_of,
    unknown_subject,
)
from app.services.training_traces import TrainingTraces
from app.storage.database import Database
from app.storage.files import ReferenceFiles
from app.storage.home import GalleryHome

__all__ = [
    "Gallery",
    "GalleryHealth",
    "Problem",
    "ProblemCode",
    "Progress",
    "ReferenceInfo",
    "SkippedFile",
    "SubjectSummary",
    "SyncReport",
]

MAX_IMAGE_BYTES: Final = 20 * 1024 * 1024


class Gallery:
    """All references under one bundle; safe to use from many threads and beside other processes.

    Args:
        database: Migrated.
        images_dir: The folder verification_images; it must exist.
        pipeline: The bundle that embeds and whose fingerprint is compared.
        audit: Where changes are logged.
        max_image_bytes: Larger folder photos are skipped.
        folder_policy: Which face of a new folder photo is meant.
        settle_seconds: How long a file in the folder must stand still before it counts.
        traces: Erases what training keeps of who is deleted.
        clock: Where the time comes from that this is measured with.
    """

    def __init__(
        self,
        database: Database,
        images_dir: Path,
        pipeline: FacePipeline,
        audit: AuditLog,
        *,
        max_image_bytes: int = MAX_IMAGE_BYTES,
        folder_policy: FacePolicy = FacePolicy.PROMINENT,
        settle_seconds: float = SETTLE_SECONDS,
        clock: Clock | None = None,
        traces: TrainingTraces | None = None,
    ) -> None:
        self._database = database
        self._audit = audit
        self._another = partial(
            Gallery,
            database,
            images_dir,
            audit=audit,
            max_image_bytes=max_image_bytes,
            folder_policy=folder_policy,
            settle_seconds=settle_seconds,
            clock=clock,
            traces=traces,
        )
        fingerprint = pipeline.fingerprint
        files = ReferenceFiles(images_dir, database.cipher)
        home = GalleryHome(images_dir, database)
        self._erasure = Erasure(database, files, home, fingerprint, audit, traces=traces)
        self._store = ReferenceStore(database, files, fingerprint, self._erasure, audit, home=home)
        self._export = SubjectExport(database, files, audit, max_image_bytes)
        self._views = SubjectViews(database, files, fingerprint, audit)
        self._snapshots = SnapshotCache(database, fingerprint)
        examiner = PhotoExaminer(files, pipeline, max_image_bytes, folder_policy)
        self._folder = FolderSync(
            database,
            files,
            self._store,
            home=home,
            intake=PhotoIntake(database, files, examiner, fingerprint, audit),
            fingerprint=fingerprint,
            audit=audit,
            settling=Settling(settle_seconds, clock or Clock()),
            mending=Mending(database, self._snapshots, fingerprint),
        )
        self._syncing = Lock()
        self._successor: Gallery | None = None

    def under(self, pipeline: FacePipeline) -> "Gallery":
        """The same photos under another bundle; it has to be synchronised before it is of use.

        Both may be used at the same time, as if by two processes.
        """
        return self._another(pipeline=pipeline)

    def succeeded_by(self, other: "Gallery | None") -> None:
        """Have `other`, which takes this one's place, told whom this one erases; None ends that."""
        self._successor = other

    def sync(
        self,
        progress: Progress | None = None,
        *,
        accept_removals: bool = False,
        workers: int = ALL_WORKERS,
        stopping: Callable[[], bool] = never,
    ) -> SyncReport:
        """Finish what a crash left and pick up what changed in the folder.

        A folder that can't be read, or lacks most of its photos, changes nothing; see `health`.

        Args:
            progress: Called with the number of photos done and the number to do.
            accept_removals: Whether someone confirmed that most photos were deleted on purpose.
            workers: How many photos are looked at at the same time.
            stopping: Asked after each photo; what is recorded by then stays.

        Raises:
            StorageError: If the database can't be used.
        """
        actor = COMMAND if accept_removals else SERVICE
        job = Job(progress or unwatched, workers, stopping, accept_removals, actor)
        with self._syncing:
            report = self._folder.run(job)
        if report.removed:
            self._snapshots.current()
        return report

    def look(self, stopping: Callable[[], bool]) -> float:
        """Look at the folder once, and `sync` with one worker if anything may have changed.

        Args:
            stopping: Asked after each photo; what is recorded by then stays.

        Returns:
            Seconds that listing the folder took.

        Raises:
            StorageError: If the database can't be used.
        """
        with self._syncing:
            return self._folder.look(Job(workers=1, stopping=stopping))

    def health(self) -> GalleryHealth:
        """What is wrong although verification works; costs nothing."""
        damaged = len(self._snapshots.newest.damaged)
        return with_others(self._folder.health, damaged, self._audit)

    def references(self, subject: str) -> tuple[str, tuple[Reference, ...], Floats]:
        """What a probe is compared with, all of one state of the gallery.

        Returns:
            The stored spelling of the name, the references, oldest first, and their embeddings,
            shape (n, d), n >= 1, read-only.

        Raises:
            InvalidRequestError: If the name is not allowed.
            SubjectNotFoundError, NoReferencesError: If there is nothing to compare with.
        """
        key = subject_key(subject)
        found = self._snapshots.current().subjects.get(key)
        if found is None and key != DEFAULT_SUBJECT:
            raise unknown_subject()
        if found is None or not found.references:
            name = found.record.name if found else DEFAULT_SUBJECT
            raise NoReferencesError(
                f"The subject {name} has no usable reference. Enroll a photo first.", subject=name
            )
        return found.record.name, found.references, found.matrix

    def subjects(self) -> list[SubjectSummary]:
        """All subjects, by name without regard to case."""
        return [summary_of(s) for s in self._snapshots.current().subjects.values()]

    def summary(self, name: str) -> SubjectSummary | None:
        """A subject without its images; None if there is none."""
        found = self._snapshots.current().subjects.get(subject_key(name))
        return summary_of(found) if found else None

    def subject(self, name: str) -> tuple[SubjectSummary, list[ReferenceInfo]]:
        """A subject and all its verification images, oldest first.

        Raises:
            SubjectNotFoundError: If there is none.
        """
        return self._views.subject(name)

    def image(self, name: str, image_id: str) -> ReferenceInfo:
        """One verification image of a subject.

        Raises:
            SubjectNotFoundError, ImageNotFoundError: If there is none.
        """
        return self._views.image(name, image_id)

    def image_content(self, name: str, image_id: str, actor: Actor = COMMAND) -> tuple[str, bytes]:
        """File name and bytes of a verification image; the audit log tells who looked.

        Raises:
            SubjectNotFoundError, ImageNotFoundError: If there is none.
            StorageError: If it can't be read.
        """
        return self._views.content(name, image_id, actor)

    def delete_subject(self, name: str, actor: Actor = COMMAND) -> ErasureReceipt:
        """Delete all that is kept of a person: rows, embeddings, every photo, what training keeps.

        Returns:
            What was removed, signed.

        Raises:
            SubjectNotFoundError: If there is none.
            JobConflictError: If a training job may hold photos of the person.
            StorageError: If something can't be deleted now.
        """
        receipt = self._erasure.subject(name, actor)
        self._forget(subject_key(name))
        return receipt

    def delete_image(self, name: str, image_id: str, actor: Actor = COMMAND) -> None:
        """Delete one verification image: row, embeddings and file.

        Raises:
            SubjectNotFoundError, ImageNotFoundError: If there is none.
            StorageError: If something can't be deleted now.
        """
        self._erasure.image(subject_key(name), image_id, actor)
        self._forget()

    def export(self, name: str, actor: Actor) -> Archive:
        """All that is stored about a subject, as a zip file.

        Raises:
            SubjectNotFoundError: If there is none.
            StorageError: If it can't be read.
        """
        return self._export.archive(name, actor)

    def reference_count(self) -> int:
        """References of all subjects that can be compared with."""
        return self._snapshots.current().references

    def twin(self, name: str, hashes: Sequence[str]) -> str | None:
        """Image_id of a reference of the subject that was stored, or sent, as such a file."""
        with self._database.read() as rows:
            subject = rows.subject(subject_key(name))
            image = subject and rows.twin(subject.id, hashes)
            return image.image_id if image else None

    def add(self, name: str, photos: Sequence[NewPhoto], actor: Actor) -> list[Stored]:
        """Store photos as references, all or none; what became of each, in their order.

        Raises:
            StorageError: If they can't be stored; then nothing is changed.
        """
        return self._store.add(name, photos, actor)

    def _forget(self, key: str | None = None) -> None:
        """Let go of what was erased, here and where this gallery's place is taken."""
        if key is not None:
            self._folder.forget(key)
        # The embeddings leave memory now, not with the next request.
        self._snapshots.current()
        if self._successor is not None:
            self._successor._forget(key)  # noqa: SLF001 - another gallery
