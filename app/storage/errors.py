"""From the database's errors to one that a caller understands."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.domain.errors import StorageError

_MESSAGES: Final = {
    sqlite3.SQLITE_BUSY: "The database is locked by another process. Try again.",
    sqlite3.SQLITE_LOCKED: "The database is locked by another process. Try again.",
    sqlite3.SQLITE_FULL: "The disk that holds the database is full. Free some space.",
    sqlite3.SQLITE_READONLY: "The database is read-only. Make its file and folder writable.",
    sqlite3.SQLITE_PERM: "The database may not be opened. Check the permissions of its file.",
    sqlite3.SQLITE_CANTOPEN: "The database can't be opened. Check FACETWIN_DATABASE_URL.",
    sqlite3.SQLITE_IOERR: "The database can't be read or written: the disk reports an error.",
    sqlite3.SQLITE_CORRUPT: "The database is damaged. Restore it from a backup.",
    sqlite3.SQLITE_NOTADB: "FACETWIN_DATABASE_URL names a file that is not a database.",
    # Two openings of one log met; SQLite has given up waiting for the other.
    sqlite3.SQLITE_PROTOCOL: "The database is locked by another process. Try again.",
    sqlite3.SQLITE_NOMEM: "There is not enough memory to use the database.",
}
_EXTENDED: Final = {
    # Before anything else SQLite makes a file of 32 KiB beside the database.
    sqlite3.SQLITE_IOERR_SHMSIZE: "The disk that holds the database is full. Free some space.",
}
"""Where a primary code would name the wrong cause."""
_PRIMARY: Final = 0xFF
"""Mask from SQLite's extended result codes to the primary ones."""


@contextmanager
def storage_errors() -> Iterator[None]:
    """Raise StorageError in the place of what the database, or what is damaged in it, raises."""
    try:
        yield
    except DBAPIError as error:
        raise StorageError(_message(error.orig)) from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise StorageError(_message(error)) from error
    except (JSONDecodeError, UnicodeDecodeError) as error:
        # A column that nobody but this code writes.
        raise StorageError(_MESSAGES[sqlite3.SQLITE_CORRUPT]) from error


def _message(error: BaseException | None) -> str:
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None:
            known = _EXTENDED.get(code) or _MESSAGES.get(code & _PRIMARY)
            if known is not None:
                return known
        if "no such table" in str(error):
            return "The database has no tables yet. Start the service once to prepare it."
    return "The database can't be used. The log of the service says why."
