"""The lock that lets one warden at a time run jobs, over all processes of this machine."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from app.domain.errors import StorageError

LOCK_FILE: Final = "worker.lock"
_RETRY_SECONDS: Final = 0.05


class WorkerLock:
    """An advisory lock on `worker.lock`; it ends with the processes that hold it.

    Args:
        folder: Settings.training_dir; it is made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_FILE

    @contextmanager
    def held(self, patience: float) -> Iterator[int | None]:
        """Take the lock; yields its file's descriptor, or None if another process keeps it.

        A process that is given the descriptor holds the lock with this one.

        Args:
            patience: Seconds to try. Whoever looks whether the lock is free has it for a moment.

        Raises:
            StorageError: If the lock file can't be made.
        """
        descriptor = self._open()
        try:
            if not _taken(descriptor, patience):
                yield None
                return
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def idle(self) -> Iterator[bool]:
        """Whether nobody holds the lock; while this lasts, nobody takes it.

        Raises:
            StorageError: If the lock file can't be made.
        """
        descriptor = self._open()
        try:
            yield _try(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def holder(self) -> int | None:
        """Process id of the warden that holds the lock; None if nobody does.

        Raises:
            StorageError: If the lock file can't be read.
        """
        with self.idle() as is_idle:
            if is_idle:
                return None
        try:
            return int(self._path.read_text("ascii"))
        except (OSError, ValueError):
            return None

    def _open(self) -> int:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StorageError(
                f"The lock file {self._path} can't be made: {error.strerror}. Make its folder "
                "writable."
            ) from error


def _taken(descriptor: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while not _try(descriptor, fcntl.LOCK_EX):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_RETRY_SECONDS)
    return True


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise StorageError(
            f"The lock file of training can't be locked: {error.strerror}. Put "
            "FACETWIN_APPLICATION_DATA_DIR on a disk with file locks."
        ) from error
    return True
