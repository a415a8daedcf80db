"""The gallery's database: connections, transactions and their guarantees.

Each write transaction begins by locking the one row of `gallery_state`, so writers of all threads
and processes come one after the other, and what a writer reads stays true until it commits. A
reader sees one state throughout its transaction and never waits.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select, update
from sqlalchemy.exc import ArgumentError, DBAPIError

from app.domain.errors import StorageError
from app.storage.cipher import Cipher
from app.storage.encryption_rows import require_registered
from app.storage.errors import storage_errors
from app.storage.gallery_writer import GalleryWriter
from app.storage.migration import refuse_unknown, upgrade
from app.storage.repositories import GalleryReader
from app.storage.tables import GalleryState
from app.storage.vectors import VectorCodec

_BEGIN: Final = "facetwin_begin"
BUSY_SECONDS: Final = 5.0
"""How long a writer waits for another one."""

_PRAGMAS: Final = (
    f"busy_timeout = {BUSY_SECONDS * 1000:.0f}",
    "journal_mode = WAL",
    # An acknowledged enrolment survives a power cut, a deleted person's bytes are overwritten.
    "synchronous = FULL",
    "secure_delete = ON",
    "foreign_keys = ON",
)


class Database:
    """A gallery's database; safe to use from many threads.

    Args:
        url: `sqlite:///path/to/file`.
        cipher: Encrypts embeddings, and the photos of whoever takes it from here.

    Raises:
        StorageError: If the address is not understood.
    """

    def __init__(self, url: str, cipher: Cipher | None = None) -> None:
        self.cipher = cipher
        self._codec = VectorCodec(cipher)
        self._url = _checked(url)
        self._engine = _engine(self._url)
        self._writing = Lock()

    def migrate(self) -> None:
        """Create the tables, or bring those of an older version up to date.

        Raises:
            StorageError: If the file can't be written or comes from a newer version.
        """
        _create_file(self._url)
        with storage_errors(), self._engine.connect() as connection:
            # Two processes may start at once on a fresh machine: the second waits here.
            connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
            with connection.begin():
                upgrade(connection)

    def refuse_unknown(self) -> None:
        """Look whether a newer version made the tables, before anything is changed.

        Raises:
            StorageError: If so. Whatever else is wrong, `migrate` will tell.
        """
        assert self._url.database is not None
        with suppress(OSError, DBAPIError):
            # To connect would make a file where there is none.
            if Path(self._url.database).stat().st_size:
                with self._engine.connect() as connection:
                    refuse_unknown(connection)

    def check(self) -> None:
        """Look through the whole file, outside of any transaction that others wait for.

        Raises:
            StorageError: If its structure is damaged.
        """
        with storage_errors(), self._engine.connect() as connection:
            if connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one() != "ok":
                raise StorageError("The database is damaged. Restore it from a backup.")

    def revision(self) -> int:
        """A number that grows with every change of the gallery by any process."""
        with storage_errors(), self._engine.connect() as connection:
            return connection.scalars(select(GalleryState.revision)).one()

    @contextmanager
    def read(self) -> Iterator[GalleryReader]:
        """One consistent state of the gallery.

        Raises:
            StorageError: If the database can't be read.
        """
        with storage_errors(), self._engine.connect() as connection:
            yield GalleryReader(connection, self._codec)

    @contextmanager
    def write(self) -> Iterator[GalleryWriter]:
        """A transaction: committed at the end if something was changed, else rolled back.

        Raises:
            StorageError: If the database can't be written; then nothing is changed.
        """
        with self._alone(), storage_errors(), self._engine.connect() as connection:
            transaction = connection.begin()
            writer = GalleryWriter(connection, self._codec, _next_revision(connection))
            require_registered(connection, self._codec.key_id)
            yield writer
            if writer.changed:
                transaction.commit()

    @contextmanager
    def write_apart(self) -> Iterator[Connection]:
        """A transaction on tables that no snapshot shows (keys, audit): the revision stays.

        It excludes all other writers, as `write` does, and is committed at the end.

        Raises:
            StorageError: If the database can't be written; then nothing is changed.
        """
        with self._alone(), storage_errors(), self._engine.begin() as connection:
            connection.execute(update(GalleryState).values(revision=GalleryState.revision))
            yield connection

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep out other threads of this process, as the database keeps out other processes."""
        if not self._writing.acquire(timeout=BUSY_SECONDS):
            raise StorageError("Another change of the gallery takes long. Try again.")
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def read_apart(self) -> Iterator[Connection]:
        """One consistent state of the tables that no snapshot shows.

        Raises:
            StorageError: If the database can't be read.
        """
        with storage_errors(), self._engine.connect() as connection:
            yield connection

    def erase_traces(self, patience: float = BUSY_SECONDS) -> bool:
        """Empty the write-ahead log, which may still hold the bytes of deleted rows.

        Args:
            patience: Seconds to wait for those who read an older state; writers wait too.

        Returns:
            Whether it is empty now. Someone who still reads an older state keeps it.

        Raises:
            StorageError: If the database can't be written.
        """
        with storage_errors():
            connection = self._engine.raw_connection()
            try:
                cursor = connection.cursor()
                _wait_at_most(cursor, patience)
                busy, _frames, _done = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                _wait_at_most(cursor, BUSY_SECONDS)
            except sqlite3.Error:
                connection.invalidate()
                raise
            finally:
                connection.close()
        return not busy

    @property
    def log_bytes(self) -> int:
        """Size of the write-ahead log."""
        try:
            return Path(f"{self._url.database}-wal").stat().st_size
        except FileNotFoundError:
            return 0

    def close(self) -> None:
        """Close all connections; the last one of all processes folds the log into the file."""
        self._engine.dispose()


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StorageError(
            "FACETWIN_DATABASE_URL is not a database address. Write it as sqlite:///path/to/file."
        ) from error
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise StorageError(
            "FACETWIN_DATABASE_URL must name an SQLite file: sqlite:///path/to/file."
        )
    return parsed


def _engine(url: URL) -> Engine:
    # Measurements may be numpy numbers, which json does not know.
    to_json = partial(json.dumps, default=float)
    # Parameters hold names of people; messages of errors must not.
    engine = create_engine(url, hide_parameters=True, json_serializer=to_json)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver's own transactions leave reads outside; `_begin` starts them all.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _wait_at_most(cursor: Any, seconds: float) -> None:
    cursor.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def _create_file(url: URL) -> None:
    """Create the file readable by its owner alone: it holds embeddings and names of people."""
    assert url.database is not None
    path = Path(url.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise StorageError(
            f"The database {path} can't be created: {error.strerror}. Make its folder writable or "
            "choose another one with FACETWIN_DATABASE_URL."
        ) from error


def _next_revision(connection: Connection) -> int:
    connection.execute(update(GalleryState).values(revision=GalleryState.revision + 1))
    return connection.scalars(select(GalleryState.revision)).one()
