"""The lock that keeps a second server away from a gallery; commands don't take it.

It is taken beside the folder and beside the database, as either could be given to two servers.
"""

import fcntl
import os
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Final, Self

from sqlalchemy import make_url

from app.domain.errors import StorageError

LOCK_FILE: Final = ".facetwin.lock"


class ServingLock:
    """Advisory locks that end with the process; a context manager.

    Args:
        data_dir: FACETWIN_APPLICATION_DATA_DIR; it exists.
        database_url: `sqlite:///PATH`; its folder is made if need be.
    """

    def __init__(self, data_dir: Path, database_url: str) -> None:
        self._folder = data_dir
        # One file may be reached by several names.
        self._database = Path(make_url(database_url).database or "").resolve()
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """Take both locks.

        Raises:
            StorageError: If another server holds one, or a lock file can't be made.
        """
        beside = self._database.with_name(f".{self._database.name}.lock")
        with ExitStack() as held:
            held.enter_context(
                _locked(self._folder / LOCK_FILE, self._folder, "FACETWIN_APPLICATION_DATA_DIR")
            )
            held.enter_context(_locked(beside, self._database, "FACETWIN_DATABASE_URL"))
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        # Closing gives a lock back; the file stays, as removing it would race with a newcomer.
        self._held.close()


def _locked(path: Path, what: Path, setting: str) -> BinaryIO:
    """The lock file, opened and locked."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "ab")
    except OSError as error:
        raise StorageError(
            f"The lock file {path} can't be made: {error.strerror}. A server needs to write "
            f"beside its data: make the folder writable, or choose another one by {setting}."
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise StorageError(
            f"Another server already serves {what}. Stop it first, start this one with one "
            f"worker, or give it data of its own by {setting}."
        ) from None
    except OSError as error:
        file.close()
        raise StorageError(
            f"{path} can't be locked: {error.strerror}. Put {what} on a disk with file locks."
        ) from error
    return file
