"""What the service and the CLI share: the loaded bundle, the gallery and the services."""

import fcntl
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from app.domain.errors import StorageError, UnsupportedFmrError
from app.domain.ports import FacePipeline
from app.inference.bundle import load_active
from app.inference.decode import DecodeLimits
from app.inference.pipeline import Pipeline
from app.services.enrollment import Enrollment
from app.services.gallery import Gallery, SkippedFile
from app.services.verification import Verification
from app.settings import Settings
from app.storage.database import Database

Progress = Callable[[int, int], None]
LOCK_FILE = ".facetwin.lock"


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
    """Everything that one process needs to enroll and verify."""

    settings: Settings
    pipeline: FacePipeline
    database: Database
    gallery: Gallery
    enrollment: Enrollment
    verification: Verification
    self_test: SelfTest
    skipped: tuple[SkippedFile, ...] = ()
    """What lay in the folder at start and could not become a reference."""
    _resources: ExitStack = field(default_factory=ExitStack, repr=False)

    def close(self) -> None:
        """Close the database and give back the serving lock, if it was taken."""
        self._resources.close()


def open_runtime(settings: Settings, *, progress: Progress | None = None) -> Runtime:
    """Make the folders, migrate the database, load the active bundle, sync the gallery.

    Args:
        settings: Where everything lies.
        progress: Called with (done, total) while new references are embedded.

    Raises:
        ModelNotFoundError, BundleError: If there is no usable bundle.
        StorageError: If the folders or the database can't be used.
    """
    with ExitStack() as resources:
        return _open(settings, _load(settings), progress, resources)


def open_serving_runtime(settings: Settings, *, progress: Progress | None = None) -> Runtime:
    """`open_runtime` for the one process that serves this gallery; raises as it does.

    Raises:
        StorageError: If another process serves it.
    """
    with ExitStack() as resources:
        pipeline = _load(settings)
        _make_folders(settings)
        resources.enter_context(_ServingLock(settings))
        return _open(settings, pipeline, progress, resources)


def _load(settings: Settings) -> Pipeline:
    """Load the active bundle, first of all: without one nothing else is touched."""
    limits = DecodeLimits(settings.max_image_bytes, settings.max_image_pixels)
    pipeline = Pipeline(
        load_active(settings.model_dir), engines=settings.inference_threads, limits=limits
    )
    if not pipeline.decider.calibration.supports(settings.max_fmr):
        raise UnsupportedFmrError(
            f"FACETWIN_MAX_FMR={settings.max_fmr:g} is stricter than the model "
            f"{pipeline.version} can price."
        )
    return pipeline


def _open(
    settings: Settings, pipeline: Pipeline, progress: Progress | None, resources: ExitStack
) -> Runtime:
    _make_folders(settings)
    self_test = SelfTest(*pipeline.self_test())
    database = Database(settings.database_url)
    resources.callback(database.close)
    database.migrate()
    gallery = Gallery(
        database,
        settings.images_dir,
        pipeline,
        max_image_bytes=settings.max_image_bytes,
        folder_policy=settings.face_policy,
    )
    report = gallery.sync(progress)
    return Runtime(
        settings=settings,
        pipeline=pipeline,
        database=database,
        gallery=gallery,
        enrollment=Enrollment(gallery, pipeline, settings.max_fmr),
        verification=Verification(gallery, pipeline),
        self_test=self_test,
        skipped=report.skipped,
        _resources=resources.pop_all(),
    )


def _make_folders(settings: Settings) -> None:
    for folder in (settings.images_dir, settings.input_dir):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"The folder {folder} can't be made: {error.strerror}. Check "
                "FACETWIN_APPLICATION_DATA_DIR and its owner."
            ) from error


class _ServingLock:
    """Advisory lock on a gallery: with SQLite one process serves it. The CLI doesn't take it."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.application_data_dir / LOCK_FILE

    def __enter__(self) -> None:
        self._file = self._path.open("ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise StorageError(
                f"Another server already serves {self._path.parent}. Stop it first, start this one "
                "with one worker, or give it a folder of its own by FACETWIN_APPLICATION_DATA_DIR."
            ) from None

    def __exit__(self, *_: object) -> None:
        # Closing gives the lock back; the file stays, as removing it would race with a newcomer.
        self._file.close()
