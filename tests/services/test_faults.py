"""Disks and databases that fail under a running gallery: a clear error, old data whole, recovery.

The same on a real server, with real disks: `python -m benchmarks.faults`.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from app.domain.errors import StorageError
from tests.dummy_pipeline import STORED, photo
from tests.services.kill_changes import BASE, OLD, make_base, put
from tests.services.kill_checks import image_ids, opened, problems_of, rows, state_of
from tests.services.world import Session

Fault = Callable[[Session, Path], AbstractContextManager[None]]
PAGE = 4096
DAMAGED = (
    "The database is damaged. Restore it from a backup.",
    "FACETWIN_DATABASE_URL names a file that is not a database.",
)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    root = tmp_path / "base"
    root.mkdir()
    make_base(root)
    return root


def enroll(session: Session) -> None:
    # So many that the database needs another page.
    session.enroll("bob", *(photo("bob", i) for i in range(60)))


def delete(session: Session) -> None:
    session.gallery.delete_subject("alice")


def synchronise(session: Session) -> None:
    session.gallery.sync()


@contextmanager
def pragma(session: Session, fault: str, end: str) -> Iterator[None]:
    """Make the session's own connection fail."""
    with session.database._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA {fault.format(pages=pages)}")
    yield
    with session.database._engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA {end}")


@contextmanager
def full(session: Session, _root: Path) -> Iterator[None]:
    with pragma(session, "max_page_count = {pages}", "max_page_count = 1000000"):
        yield


@contextmanager
def read_only(session: Session, _root: Path) -> Iterator[None]:
    with pragma(session, "query_only = ON", "query_only = OFF"):
        yield


@contextmanager
def locked(session: Session, root: Path) -> Iterator[None]:
    with (
        pragma(session, "busy_timeout = 10", "busy_timeout = 5000"),
        closing(sqlite3.connect(root / "facetwin.sqlite", isolation_level=None)) as other,
    ):
        other.execute("BEGIN EXCLUSIVE")
        yield


@pytest.mark.parametrize(
    ("fault", "change", "words"),
    [
        (full, enroll, "The disk that holds the database is full. Free some space."),
        (read_only, enroll, "The database is read-only. Make its file and folder writable."),
        (read_only, delete, "The database is read-only. Make its file and folder writable."),
        (read_only, synchronise, "The database is read-only. Make its file and folder writable."),
        (locked, enroll, "The database is locked by another process. Try again."),
        (locked, delete, "The database is locked by another process. Try again."),
        (locked, synchronise, "The database is locked by another process. Try again."),
    ],
)
def test_a_database_that_cannot_be_written_says_why_and_keeps_all(
    base: Path, fault: Fault, change: Callable[[Session], None], words: str
) -> None:
    put(base, "dave/2.jpg", photo("dave", 2))
    old = image_ids(base)
    with opened(base, OLD) as session:
        with fault(session, base):
            with pytest.raises(StorageError) as raised:
                change(session)
            assert raised.value.message == words
            assert image_ids(base) == old
            assert session.verify("alice", photo("alice", "probe")).verdict.verified
            assert not list((base / "verification_images").glob("bob*"))
        change(session)
        session.gallery.sync()
    after = {**BASE, "dave": BASE["dave"] | {sha256(photo("dave", 2)).hexdigest()}}
    if change is enroll:
        after["bob"] = frozenset(sha256(photo("bob", i)).hexdigest() for i in range(60))
    if change is delete:
        del after["alice"]
    assert problems_of(base, [after], OLD, old) == []


def use(root: Path) -> None:
    """Open the gallery and do a bit of everything with it."""
    with opened(root, OLD) as session:
        session.gallery.sync()
        for name in BASE:
            session.gallery.references(name)
            session.gallery.subject(name)
        session.enroll("alice", photo("alice", "new"))
        session.gallery.delete_subject("alice")


def error_of(root: Path) -> str | None:
    try:
        use(root)
    except StorageError as error:
        return error.message
    return None


def test_noise_in_any_page_is_an_error_or_harmless(base: Path, tmp_path: Path) -> None:
    whole = (base / "facetwin.sqlite").read_bytes()
    after = {name: photos for name, photos in BASE.items() if name != "alice"}
    # The photo enrolled before the damage was met is not in the backup, but in the folder.
    left = frozenset({sha256(STORED + photo("alice", "new")).hexdigest()})
    between = {**BASE, "alice": BASE["alice"] | left}
    errors = 0
    for page in range(len(whole) // PAGE):
        root = copy(base, tmp_path / f"page-{page}")
        place = page * PAGE
        noise = whole[:place] + Random(page).randbytes(PAGE) + whole[place + PAGE :]
        (root / "facetwin.sqlite").write_bytes(noise)
        message = error_of(root)
        if message is not None:
            assert message.startswith(DAMAGED)
            errors += 1
            # No photo was harmed, so the backup of the database makes everything whole.
            (root / "facetwin.sqlite").write_bytes(whole)
            for log in root.glob("facetwin.sqlite-*"):
                log.unlink()
            assert problems_of(root, [BASE, between, after], OLD, set()) == []
        else:
            # A page that nothing reads.
            assert state_of(root) == after
    assert errors >= len(whole) // PAGE // 2


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_database_is_an_error(base: Path, share: float) -> None:
    database = base / "facetwin.sqlite"
    whole = database.read_bytes()
    database.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(StorageError, match="The database is damaged"):
        use(base)
    database.write_bytes(whole)
    for log in base.glob("facetwin.sqlite-*"):
        log.unlink()
    assert problems_of(base, [BASE], OLD, set()) == []


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9, 0.99, 1.0])
def test_a_log_that_was_cut_off_leaves_rows_and_files_together(
    base: Path, tmp_path: Path, share: float
) -> None:
    photos = [photo("bob", i) for i in range(3)]
    with opened(base, OLD) as session:
        session.enroll("bob", *photos)
        crashed = copy(base, tmp_path / "crashed")
    log = crashed / "facetwin.sqlite-wal"
    log.write_bytes(log.read_bytes()[: int(log.stat().st_size * share)])
    sent = {**BASE, "bob": frozenset(sha256(data).hexdigest() for data in photos)}
    # Without its rows a photo is what a file in the folder is.
    found = {**BASE, "bob": frozenset(sha256(STORED + data).hexdigest() for data in photos)}
    assert problems_of(crashed, [sent if share == 1 else found], OLD, set()) == []


@pytest.mark.parametrize("seconds", [-1.5, 0, 4_102_444_800])
def test_a_file_of_any_time_is_taken_up_once(base: Path, seconds: float) -> None:
    put(base, "erin/0.jpg", photo("erin"))
    place = base / "verification_images" / "erin" / "0.jpg"
    os.utime(place, (seconds, seconds))
    with opened(base, OLD) as session:
        assert session.gallery.sync().added == 1
        report = session.gallery.sync()
        assert (report.added, report.embedded, report.removed) == (0, 0, 0)


@pytest.mark.parametrize("step", ["1971-01-01T00:00:00.000+00:00", "2199-01-01T00:00:00.000+00:00"])
def test_a_clock_that_steps_changes_no_reference(
    base: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with opened(base, OLD) as session:
        monkeypatch.setattr("app.services.reference_store.utc_now", lambda: step)
        session.enroll("alice", photo("alice", "stepped"))
        session.gallery.sync()
        monkeypatch.undo()
        session.enroll("alice", photo("alice", "back"))
        assert len(session.gallery.references("alice")[1]) == 4
    added = {sha256(photo("alice", name)).hexdigest() for name in ("stepped", "back")}
    assert rows(base, f"SELECT COUNT(*) FROM images WHERE created_at = '{step}'") == [(1,)]
    assert problems_of(base, [{**BASE, "alice": BASE["alice"] | added}], OLD, set()) == []


def copy(root: Path, place: Path) -> Path:
    shutil.copytree(root, place)
    return place
