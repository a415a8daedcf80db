"""What the service and the CLI share: the loaded bundle, the gallery and the services."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace

from app.domain.audit import COMMAND
from app.domain.errors import StorageError
from app.domain.ports import FacePipeline, LoadedPipeline
from app.first_start import make_volume_folders
from app.folders import make_folders, make_images_folder
from app.installed_bundles import load_pipeline
from app.logs import get_logger
from app.services.audit import AuditLog, log_is_empty
from app.services.encryption import EncryptionAtRest
from app.services.enrollment import Enrollment
from app.services.gallery import Gallery
from app.services.key_ring import KeyRing
from app.services.photo_intake import ALL_WORKERS
from app.services.training_search import TrainingPlaces
from app.services.training_traces import TrainingTraces
from app.services.verification import Verification
from app.settings import Settings
from app.settings.cpus import usable_cpus
from app.settings.door import refuse_open_door
from app.storage.cipher import Cipher, read_cipher
from app.storage.database import Database
from app.storage.files import ReferenceFiles
from app.storage.service_key import service_key
from app.storage.serving_lock import ServingLock

Progress = Callable[[int, int], None]

_log = get_logger("facetwin.service")


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Result of the golden images that ran when the bundle was loaded.

    Attributes:
        ok: Whether every golden image gave the embedding stored in the bundle.
        detail: One sentence about it.
    """

    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything that one process needs to enroll and verify, under one bundle.

    A request uses one of these from its beginning to its end.

    Attributes:
        followed: What the file `active` said when the bundle was loaded; None if nobody knows.
    """

    settings: Settings
    pipeline: FacePipeline
    database: Database
    audit: AuditLog
    key_ring: KeyRing
    gallery: Gallery
    enrollment: Enrollment
    verification: Verification
    self_test: SelfTest
    _resources: ExitStack = field(default_factory=ExitStack, repr=False)
    followed: str | None = None

    def under(self, pipeline: FacePipeline, self_test: SelfTest) -> "Runtime":
        """The same under another bundle; all but what belongs to a bundle is shared.

        Its gallery has to be synchronised before it serves.
        """
        gallery = self.gallery.under(pipeline)
        return replace(
            self,
            pipeline=pipeline,
            gallery=gallery,
            enrollment=Enrollment(
                gallery, pipeline, self.audit, self.settings.max_fmr, self.enrollment.succession
            ),
            verification=Verification(gallery, pipeline, self.audit),
            self_test=self_test,
            followed=pipeline.version,
        )

    def close(self) -> None:
        """Close the database and give back the serving lock, if it was taken."""
        self._resources.close()


def open_runtime(
    settings: Settings,
    *,
    progress: Progress | None = None,
    accept_removals: bool = False,
    pipeline: LoadedPipeline | None = None,
) -> Runtime:
    """Make the folders, migrate the database, load the active bundle, sync the gallery.

    Args:
        settings: Where everything lies.
        progress: Called with (done, total) while new references are embedded.
        accept_removals: Whether someone confirmed that most photos were deleted on purpose.
        pipeline: Used instead of the active bundle's.

    Raises:
        ModelNotFoundError, BundleError: If there is no usable bundle.
        StorageError: If the folders or the database can't be used.
    """
    with ExitStack() as resources:
        return _open(
            settings,
            pipeline or load_pipeline(settings),
            progress,
            resources,
            accept_removals=accept_removals,
        )


def open_serving_runtime(settings: Settings, *, progress: Progress | None = None) -> Runtime:
    """`open_runtime` for the one process that serves this gallery; raises as it does.

    Raises:
        StorageError: If another process serves it.
        InvalidRequestError: If other machines could call it without a key.
    """
    with ExitStack() as resources:
        if settings.shipped_model_dir is None:
            pipeline = load_pipeline(settings)
            make_folders(settings)
            resources.enter_context(serving_lock(settings))
        else:
            # Another image may serve this volume, whose model must not be exchanged.
            make_volume_folders(settings)
            resources.enter_context(serving_lock(settings))
            pipeline = load_pipeline(settings, upgrade=True)
        return _open(settings, pipeline, progress, resources, serving=True)


def _open(
    settings: Settings,
    pipeline: LoadedPipeline,
    progress: Progress | None,
    resources: ExitStack,
    *,
    serving: bool = False,
    accept_removals: bool = False,
) -> Runtime:
    make_folders(settings)
    self_test = SelfTest(*pipeline.self_test())
    database = Database(settings.database_url, cipher_of(settings))
    resources.callback(database.close)
    database.migrate()
    if serving:
        database.check()
    make_images_folder(settings, database)
    audit = audit_log(settings, database)
    resources.callback(_close_audit, audit)
    key_ring = KeyRing(settings.configured_keys, database)
    key_ring.load()
    resources.callback(key_ring.close)
    if serving:
        refuse_open_door(settings, has_keys=key_ring.usable)
    encryption = encryption_at_rest(settings, database, audit, serving=serving)
    encryption.prepare()
    gallery = Gallery(
        database,
        settings.images_dir,
        pipeline,
        audit,
        max_image_bytes=settings.max_image_bytes,
        folder_policy=settings.face_policy,
        traces=training_traces(settings, database),
    )
    workers = min(ALL_WORKERS, usable_cpus())
    gallery.sync(progress, workers=workers, accept_removals=accept_removals)
    encryption.finish()
    return Runtime(
        settings=settings,
        pipeline=pipeline,
        database=database,
        audit=audit,
        key_ring=key_ring,
        gallery=gallery,
        enrollment=Enrollment(gallery, pipeline, audit, settings.max_fmr),
        verification=Verification(gallery, pipeline, audit),
        self_test=self_test,
        _resources=resources.pop_all(),
        followed=pipeline.version,
    )


@contextmanager
def open_audit(settings: Settings) -> Iterator[AuditLog]:
    """The audit log alone, without a model.

    Raises:
        StorageError: If database or service key can't be used.
    """
    database = Database(settings.database_url)
    try:
        database.migrate()
        yield audit_log(settings, database)
    finally:
        database.close()


def audit_log(settings: Settings, database: Database) -> AuditLog:
    """The audit log of a migrated database, signed with the service's key.

    Raises:
        StorageError: If the key can't be used.
    """
    configured = settings.service_key
    key = service_key(
        settings.application_data_dir,
        configured.get_secret_value() if configured else None,
        may_make=lambda: log_is_empty(database),
    )
    return AuditLog(database, key)


def _close_audit(audit: AuditLog) -> None:
    try:
        audit.close()
    except StorageError as error:
        # The process ends all the same; what waited is lost, and the log says so.
        _log.error("audit_entries_lost", reason=error.message)


def cipher_of(settings: Settings) -> Cipher | None:
    """What encrypts this gallery on the disk, if anything does.

    Raises:
        StorageError: If the key is malformed.
    """
    key = settings.encryption_key
    return read_cipher(key.get_secret_value() if key else None)


def training_traces(settings: Settings, database: Database) -> TrainingTraces:
    """What erases what training keeps of a person."""
    places = TrainingPlaces(settings.data_dir, settings.training_dir, settings.model_dir)
    return TrainingTraces(database, places)


def encryption_at_rest(
    settings: Settings, database: Database, audit: AuditLog, *, serving: bool = False
) -> EncryptionAtRest:
    """The encryption of this gallery; `serving` if this process holds the serving lock."""
    files = ReferenceFiles(settings.images_dir, database.cipher)
    if serving:
        return EncryptionAtRest(database, files, audit, nullcontext)
    return EncryptionAtRest(database, files, audit, lambda: serving_lock(settings), actor=COMMAND)


def serving_lock(settings: Settings) -> ServingLock:
    """What keeps a second server away from this gallery."""
    return ServingLock(settings.application_data_dir, settings.database_url)
