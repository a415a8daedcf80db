import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from app.domain.errors import StorageError
from app.storage.database import Database


@contextmanager
def opened(path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{path}")
    try:
        yield database
    finally:
        database.close()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("secure_delete", 1),
        ("busy_timeout", 5000),
    ],
)
def test_every_connection_keeps_the_guarantees(
    database: Database, pragma: str, value: object
) -> None:
    with database._engine.connect() as first, database._engine.connect() as second:
        for connection in (first, second):
            assert connection.execute(text(f"PRAGMA {pragma}")).scalar_one() == value


@pytest.mark.parametrize(
    "url", ["nonsense", "sqlite://", "sqlite:///:memory:", "postgresql://localhost/facetwin"]
)
def test_addresses_that_cannot_be_used_are_refused(url: str) -> None:
    with pytest.raises(StorageError, match="FACETWIN_DATABASE_URL"):
        Database(url)


def test_a_change_moves_the_revision_and_its_absence_does_not(database: Database) -> None:
    before = database.revision()
    with database.write() as rows:
        rows.add_subject("Alice", "alice", "now")
        assert rows.revision_after == before + 1
    assert database.revision() == before + 1
    with database.write() as rows:
        assert rows.subject("alice") is not None
    assert database.revision() == before + 1


def test_a_failed_transaction_changes_nothing(database: Database) -> None:
    def fail() -> None:
        with database.write() as rows:
            rows.add_subject("Alice", "alice", "now")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.read() as rows:
        assert rows.subjects() == []
    assert database.revision() == 0


def test_a_reader_sees_one_state_while_a_writer_commits(path: Path, database: Database) -> None:
    with opened(path) as other, database.read() as rows:
        assert rows.revision() == 0
        with other.write() as writer:
            writer.add_subject("Alice", "alice", "now")
        assert (rows.revision(), rows.subjects()) == (0, [])
    assert database.revision() == 1


def test_a_locked_database_says_so(path: Path, database: Database) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with database._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 10")
        with pytest.raises(StorageError, match="locked by another process"), database.write():
            pytest.fail("the lock was ignored")
        # Readers are not held up.
        assert database.revision() == 0


def test_a_full_disk_says_so(database: Database) -> None:
    with database._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        with database.write() as rows:
            for i in range(1000):
                rows.add_subject(f"subject-{i}", f"subject-{i}", "now")

    with pytest.raises(StorageError, match="full"):
        fill()
    assert database.revision() == 0


def test_a_file_that_is_no_database_says_so(path: Path) -> None:
    path.write_bytes(b"something else entirely" * 100)
    with opened(path) as database, pytest.raises(StorageError, match="not a database"):
        database.migrate()


def test_a_database_without_tables_says_so(path: Path) -> None:
    with opened(path) as database, pytest.raises(StorageError, match="no tables"):
        database.revision()


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path / "file" / "x.sqlite"
    with opened(path) as database, pytest.raises(StorageError, match="FACETWIN_DATABASE_URL"):
        database.migrate()


def test_any_other_failure_is_a_storage_error_too(database: Database) -> None:
    with database.write() as rows:
        rows.add_subject("Alice", "alice", "now")
    with pytest.raises(StorageError, match="log"), database.write() as rows:
        rows.add_subject("alice", "alice", "now")


def test_two_processes_may_migrate_at_once(path: Path) -> None:
    def migrate(_: int) -> int:
        with opened(path) as database:
            database.migrate()
            return database.revision()

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(migrate, range(4))) == [0] * 4


def test_deleted_bytes_are_overwritten(path: Path, database: Database) -> None:
    with database.write() as rows:
        subject = rows.add_subject("Unforgettable", "unforgettable", "now")
    with database.write() as rows:
        rows.remove_subject(subject.id)
    database.erase_traces()
    for file in path.parent.iterdir():
        assert b"nforgettable" not in file.read_bytes()


def test_a_folder_with_odd_characters_is_fine(tmp_path: Path) -> None:
    with opened(tmp_path / "50 % süß" / "x.sqlite") as database:
        database.migrate()
        assert database.revision() == 0


def test_damage_that_nobody_reads_is_found_at_the_start(path: Path, database: Database) -> None:
    with database.write() as rows:
        for i in range(500):
            rows.add_subject(f"Person{i}", f"person{i}", "now")
    database.check()
    database.close()
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = bytes(range(256)) * 16
    path.write_bytes(data)
    with pytest.raises(StorageError, match="damaged"):
        database.check()
