"""Who uses a bundle, across processes, so that nobody deletes it under a running service.

A shared advisory lock on the bundle's folder is held for as long as a pipeline of it lives, so
also from its loading until the file `active` names it. It ends with the process.
"""

import fcntl
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.domain.errors import BundleError, ModelNotFoundError


def hold(directory: Path, owner: object) -> None:
    """Keep a loaded bundle from being deleted until `owner` is garbage.

    On a disk without locks nothing is held.

    Raises:
        ModelNotFoundError: If it is gone, or is being deleted.
    """
    descriptor = _opened(directory)
    weakref.finalize(owner, os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _gone(directory) from None
    except OSError:
        return
    # Whoever deletes it may have been done just before.
    if not _is_still(directory, descriptor):
        raise _gone(directory)


@contextmanager
def unused(directory: Path) -> Iterator[None]:
    """While this lasts nobody begins to use the bundle.

    Raises:
        BundleError: If someone uses it.
        ModelNotFoundError: If there is none.
    """
    descriptor = _opened(directory)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BundleError(
                f"The model {directory.name} is in use: a running service or an activation has it."
            ) from None
        except OSError:
            # A disk without locks: whoever deletes there knows what runs.
            pass
        yield
    finally:
        os.close(descriptor)


def is_used(directory: Path) -> bool:
    """Whether someone uses the bundle; one that is gone nobody uses."""
    with suppress(ModelNotFoundError):
        try:
            with unused(directory):
                return False
        except BundleError:
            return True
    return False


def _opened(directory: Path) -> int:
    try:
        return os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        raise _gone(directory) from None


def _is_still(directory: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(directory), os.fstat(descriptor))  # noqa: PTH116
    except OSError:
        return False


def _gone(directory: Path) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"The model {directory.name} is gone or is being deleted.", version=directory.name
    )
