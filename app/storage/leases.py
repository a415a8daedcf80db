"""Whether a file can be put out of its place: not while a program has it open and may write on."""

import errno
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from app.domain.errors import StorageError

IDLE_SECONDS: Final = 60.0
"""How long a file must stand still where the system does not tell whether it is open."""
_OPEN: Final = "Another program has the photo open. It is tried again."


@contextmanager
def unused(folder: int, name: str) -> Iterator[None]:
    """While this lasts no other program has the file open; one that opens it waits.

    Where the system grants no lease (another owner's file, a network disk), a file counts as unused
    that did not change for `IDLE_SECONDS`.

    Args:
        folder: Descriptor of the folder.
        name: Of the file in it.

    Raises:
        StorageError: If it is open, or may be.
        OSError: If it can't be opened.
    """
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        if not _lease(descriptor):
            _require_idle(descriptor)
        yield
    finally:
        # Closing ends the lease.
        os.close(descriptor)


def _lease(descriptor: int) -> bool:
    """Take a write lease; False where the system grants none.

    Raises:
        StorageError: If the file is open elsewhere.
    """
    try:
        # Who opens the file has a signal sent to this process, which SIGIO would end.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except AttributeError:
        return False
    except OSError as error:
        if error.errno == errno.EAGAIN:
            raise StorageError(_OPEN) from error
        return False
    return True


def _require_idle(descriptor: int) -> None:
    if abs(time.time() - os.fstat(descriptor).st_ctime) < IDLE_SECONDS:
        raise StorageError(_OPEN)
