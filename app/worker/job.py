"""The process of one job: it runs it, and tells the warden how it went."""

import ctypes
import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import get_native_id
from typing import Final, Protocol

from app.domain.errors import FacetwinError, StorageError, TrainingDataError, TrainingLimitError
from app.domain.training import (
    EnrolledPhotos,
    JobOutcome,
    JobPlaces,
    JobStoppedError,
    Monitor,
    TrainingOptions,
)
from app.domain.training_jobs import JobFailure
from app.logs import get_logger
from app.services.enrolled_photos import GalleryPhotos
from app.services.training_jobs import JOB_MODULE, job_folder
from app.settings import Settings
from app.storage.cipher import read_cipher
from app.storage.database import Database
from app.storage.files import ReferenceFiles
from app.storage.job_json import failure_to_json, outcome_to_json
from app.worker.channel import FAILED, STOPPED, SUCCEEDED, Sender
from app.worker.handover import Assignment
from app.worker.leftovers import SCRATCH
from app.worker.limits import run_idly
from app.worker.monitor import ChannelMonitor

_DIE_WITH_PARENT: Final = 1
"""PR_SET_PDEATHSIG of Linux' prctl."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_EXHAUSTED: Final = "ResourceExhaustedError"
"""TensorFlow's error for memory that it did not get."""

_log = get_logger("facetwin.worker")


class RunJob(Protocol):
    """What does the work of a job: `app.training.job.run.run_job`, or a stand-in of a test."""

    def __call__(
        self,
        options: TrainingOptions,
        places: JobPlaces,
        monitor: Monitor,
        enrolled: EnrolledPhotos,
        activate: Callable[[str], None],
    ) -> JobOutcome:
        """Run the job to its end, from its last checkpoint if there is one.

        Raises:
            JobStoppedError: If the monitor said so.
            FacetwinError: If it can't be done; the message says why.
        """


def run_training(
    options: TrainingOptions,
    places: JobPlaces,
    monitor: Monitor,
    enrolled: EnrolledPhotos,
    activate: Callable[[str], None],
) -> JobOutcome:
    """Train; TensorFlow is loaded here and nowhere else in this package."""
    run: RunJob = import_module(JOB_MODULE).run_job
    return run(options, places, monitor, enrolled, activate)


def be_job(settings: Settings, assignment: Assignment, run: RunJob) -> None:
    """Run the job, tell the warden how it ended, and end the process."""
    stop = _Stop()
    signal.signal(signal.SIGTERM, stop.ask)
    # Whoever stops the warden at a terminal stops the job by it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with(assignment.warden)
    sender = Sender(assignment.events)
    database = Database(settings.database_url, read_cipher(_secret(settings)))
    monitor = ChannelMonitor(sender, stop)
    files = ReferenceFiles(settings.images_dir, database.cipher)
    try:
        places = places_of(settings, assignment.job_id)
        _make_folders(places.work_dir)
        with ThreadPoolExecutor(1, "clerk") as clerk:
            run_idly(but=clerk.submit(get_native_id).result())
            activate = _activation(settings, monitor, clerk)
            outcome = run(
                assignment.options, places, monitor, GalleryPhotos(database, files), activate
            )
    except JobStoppedError:
        sender.send(STOPPED)
    except BaseException as error:  # noqa: BLE001 - the warden must hear of it
        # The log may be on the disk that is full.
        with suppress(OSError):
            _log.exception("job_failed", job_id=assignment.job_id)
        sender.send(FAILED, error=failure_to_json(failure_of(error)))
    else:
        sender.send(SUCCEEDED, outcome=outcome_to_json(outcome))
    database.close()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    # All is said; threads of native code must not keep the process.
    os._exit(0)


def _make_folders(work_dir: Path) -> None:
    """The job's own, and in it an empty one for passing files (see `Attempt`)."""
    work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.rmtree(work_dir / SCRATCH, ignore_errors=True)
    (work_dir / SCRATCH).mkdir(exist_ok=True)


def places_of(settings: Settings, job_id: str) -> JobPlaces:
    """Where a job reads and writes."""
    return JobPlaces(
        data_dir=settings.data_dir,
        model_dir=settings.model_dir,
        work_dir=job_folder(settings.training_dir, job_id),
        crops_dir=settings.training_dir / "crops",
        threads=settings.training_threads,
        max_fmr=settings.max_fmr,
        max_image_bytes=settings.max_image_bytes,
        max_image_pixels=settings.max_image_pixels,
    )


def failure_of(error: BaseException) -> JobFailure:
    """What a person is told of an error that ended a job; never raises.

    A failure that can't be put into words still has to be told, or the job ends without one.
    """
    try:
        return _told(error)
    except Exception:  # noqa: BLE001 - whatever the error holds
        return _unexpected(error)


def _told(error: BaseException) -> JobFailure:
    if isinstance(error, TrainingDataError):
        problems = tuple(
            {"code": str(each["code"]), "message": str(each["message"])}
            for each in error.extra.get("problems", ())
        )
        heading = error.message if error.heading is None else error.heading
        return JobFailure(error.code, heading, problems)
    if isinstance(error, FacetwinError):
        return JobFailure(error.code, error.message)
    if isinstance(error, OSError):
        return JobFailure(StorageError.code, _disk_message(error))
    if isinstance(error, MemoryError) or type(error).__name__ == _EXHAUSTED:
        return JobFailure(
            TrainingLimitError.code,
            "There was not enough memory. Free some, or train on fewer photos.",
        )
    return _unexpected(error)


def _unexpected(error: BaseException) -> JobFailure:
    return JobFailure(
        FacetwinError.code,
        f"The job met an error it did not expect ({type(error).__name__}). worker.log in the "
        "folder training of the application data says more.",
    )


class _Stop:
    """Whether this process was told to stop."""

    def __init__(self) -> None:
        self._asked = False

    def ask(self, *_: object) -> None:
        """Handle a signal."""
        self._asked = True

    def __call__(self) -> bool:
        return self._asked


def _activation(
    settings: Settings, monitor: Monitor, clerk: ThreadPoolExecutor
) -> Callable[[str], None]:
    """What lets a bundle serve.

    It changes the gallery's database. A thread that only runs when no other program has work could
    be held up in the middle of a change, and with it everyone who enrolls; so the clerk does it.
    """

    def activate(version: str) -> None:
        from app.activation import activate_version

        clerk.submit(activate_version, settings, version, progress=monitor.progress).result()

    return activate


def _die_with(warden: int) -> None:
    """Let the kernel end this process when the warden is gone, however that went."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != warden:
        os._exit(1)


def _disk_message(error: OSError) -> str:
    if error.errno in _FULL:
        return "The disk is full. Free some space and resume the job."
    return f"A file can't be read or written: {error.strerror or type(error).__name__}."


def _secret(settings: Settings) -> str | None:
    key = settings.encryption_key
    return key.get_secret_value() if key else None
