"""The folder is followed while the service runs."""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from threading import Event
from typing import Any

import pytest
from sqlalchemy import event

from app.domain.errors import StorageError
from app.services.folder_watch import FolderWatch
from app.services.gallery import Gallery, GalleryHealth
from app.services.gallery_health import sync_failed
from app.storage.database import Database
from app.storage.files import ReferenceFiles
from tests.dummy_pipeline import DummyPipeline, photo
from tests.services.world import Session, World

SOON = 0.005


def never() -> bool:
    return False


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is sent to the database meanwhile."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(database._engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(database._engine, "before_cursor_execute", note)


class Looks:
    """A gallery whose looks go as they are told to: an error, or seconds."""

    def __init__(self, *outcomes: Exception | float) -> None:
        self._outcomes = list(outcomes)
        self.done = Event()
        self.looks = 0
        self._health = GalleryHealth()

    def look(self, _stopping: Callable[[], bool]) -> float:
        self.looks += 1
        outcome = self._outcomes.pop(0)
        if not self._outcomes:
            self._outcomes.append(outcome)
            self.done.set()
        if isinstance(outcome, Exception):
            self._health = GalleryHealth((sync_failed("Why."),))
            raise outcome
        self._health = GalleryHealth()
        return outcome

    def health(self) -> GalleryHealth:
        return self._health


@contextmanager
def watching(gallery: Any, interval: float = SOON) -> Iterator[FolderWatch]:
    watch = FolderWatch(gallery, interval)
    watch.start()
    try:
        yield watch
    finally:
        watch.close()


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for something that is certain to come; a minute is never."""
    for _ in range(6000):
        if condition():
            return
        Event().wait(0.01)
    pytest.fail("it did not happen")


def test_photos_come_and_go_while_it_runs(world: World, session: Session) -> None:
    session.gallery.sync()
    with watching(session.gallery) as watch:
        world.put("alice/a.jpg", photo("alice"))
        world.put("alice/b.jpg", photo("alice", 1))
        world.put("alice/none.jpg", photo("alice", faces=0))
        eventually(lambda: session.gallery.reference_count() == 2)
        eventually(lambda: len(session.gallery.health().report.skipped) == 1)
        (world.images / "alice" / "a.jpg").unlink()
        eventually(lambda: session.gallery.reference_count() == 1)
    assert not watch._thread.is_alive()


def test_a_look_at_which_nothing_changed_costs_a_listing(world: World, session: Session) -> None:
    for i in range(3):
        world.put(f"alice/{i}.jpg", photo("alice", i))
    world.put("alice/bad.jpg", b"?")
    world.put("alice/same.jpg", photo("alice", 0))
    session.gallery.sync()
    session.gallery.look(never)
    before = session.gallery.health()
    with statements(session.database) as seen:
        session.gallery.look(never)
    assert {" ".join(s.split()) for s in seen} == {
        "BEGIN",
        "SELECT gallery_state.revision FROM gallery_state",
    }
    after = session.gallery.health()
    assert after.report is before.report
    assert after.last_sync is not None


def test_a_look_after_an_enrolment_writes_nothing_and_reads_no_photo(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("alice/bad.jpg", b"?")
    world.put("alice/twin-a.jpg", photo("alice"))
    world.put("alice/twin-b.jpg", photo("alice"))
    session.gallery.sync()
    session.enroll("bob", photo("bob"))
    monkeypatch.setattr("app.storage.files.ReferenceFiles.read", None)
    revision = session.database.revision()
    with statements(session.database) as seen:
        session.gallery.look(never)
    assert any("images" in s for s in seen)
    assert not any(s.startswith(("UPDATE", "INSERT", "DELETE")) for s in seen)
    assert session.database.revision() == revision
    assert len(session.gallery.health().report.skipped) == 2


def test_what_another_process_changed_is_looked_at(world: World, session: Session) -> None:
    world.put("alice/a.jpg", photo("alice"))
    session.gallery.sync()
    session.gallery.look(never)
    with closing(sqlite3.connect(world.root / "facetwin.sqlite")) as connection, connection:
        connection.execute("DELETE FROM images")
        connection.execute("UPDATE gallery_state SET revision = revision + 1")
    session.gallery.look(never)
    assert session.gallery.reference_count() == 1


def test_an_unreadable_file_is_tried_again(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = world.put("alice/a.jpg", photo("alice"))

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("app.storage.files.ReferenceFiles.read", refuse)
        session.gallery.sync()
        assert len(session.gallery.health().report.skipped) == 1
    session.gallery.look(never)
    # Permissions do not change size or time, but the file's status.
    place.chmod(0o600)
    session.gallery.look(never)
    assert session.gallery.reference_count() == 1
    place.with_name("b.jpg").write_bytes(photo("alice", 1))
    # A disk error leaves no trace at all: time is what brings the next attempt.
    monkeypatch.setattr("app.services.gallery_sync.RETRY_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr("app.storage.files.ReferenceFiles.read", refuse)
        session.gallery.look(never)
    session.gallery.look(never)
    assert session.gallery.reference_count() == 2


def test_the_pause_grows_with_the_time_that_listing_takes() -> None:
    slow, quick = Looks(60.0), Looks(0.0)
    with watching(slow), watching(quick):
        eventually(lambda: quick.looks > 20 and slow.looks > 0)
        assert slow.looks == 1


def test_one_slow_listing_does_not_end_the_following(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.folder_watch._MAX_PAUSE_SECONDS", SOON)
    slow = Looks(1e6)
    with watching(slow):
        eventually(lambda: slow.looks > 5)


def test_an_error_that_came_late_is_followed_by_a_look_as_soon_as_any() -> None:
    class Late(Looks):
        def look(self, stopping: Callable[[], bool]) -> float:
            Event().wait(0.1)
            return super().look(stopping)

    looks = Late(StorageError("The database is locked."))
    watch = FolderWatch(looks, SOON)
    assert watch._look() == 0.0


def test_only_the_listing_counts(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.gallery.sync()
    world.put("alice/a.jpg", photo("alice"))
    passed = [0.0]
    monkeypatch.setattr("app.services.gallery_sync.time.perf_counter", lambda: passed[0])
    scan, write = ReferenceFiles.scan, Database.write

    def listing(files: ReferenceFiles) -> Any:
        passed[0] += 1
        return scan(files)

    def waiting(database: Database) -> Any:
        passed[0] += 100
        return write(database)

    monkeypatch.setattr(ReferenceFiles, "scan", listing)
    monkeypatch.setattr(Database, "write", waiting)
    assert session.gallery.look(never) == 1.0
    assert session.gallery.reference_count() == 1


def test_failures_are_logged_once_and_end_nothing(caplog: pytest.LogCaptureFixture) -> None:
    locked = StorageError("The database is locked.")
    looks = Looks(0.0, locked, locked, ValueError("/data/zaphod/1.jpg"), locked, 0.0, locked, 0.0)
    with caplog.at_level(logging.DEBUG, "facetwin"), watching(looks):
        looks.done.wait(60)
        eventually(lambda: looks.looks > 10)
    text = [record.getMessage() for record in caplog.records]
    assert sum(line.startswith("Degraded, sync_failed") for line in text) == 2
    assert sum("not degraded any more" in line for line in text) == 2
    assert "zaphod" not in "".join(text)


def test_an_unexpected_error_is_told_by_its_kind(caplog: pytest.LogCaptureFixture) -> None:
    error = ValueError("/data/zaphod/1.jpg")
    looks = Looks(error, error, error, 0.0)
    with caplog.at_level(logging.DEBUG, "facetwin"), watching(looks):
        looks.done.wait(60)
    text = [record.getMessage() for record in caplog.records]
    assert sum("ValueError" in line for line in text) == 1
    assert "zaphod" not in "".join(text)


def test_a_failing_database_shows_in_health_and_passes(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.gallery.sync()
    world.put("alice/a.jpg", photo("alice"))

    def fail(*_: object) -> None:
        raise StorageError("The database is locked by another process. Try again.")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", fail)
        with pytest.raises(StorageError):
            session.gallery.look(never)
        (problem,) = session.gallery.health().degraded
        assert problem.code == "sync_failed"
        assert "locked" in problem.message
    session.gallery.look(never)
    assert session.gallery.health().degraded == ()
    assert session.gallery.reference_count() == 1


def test_an_interval_of_zero_looks_only_at_start() -> None:
    looks = Looks(0.0)
    with watching(looks, interval=0):
        pass
    assert looks.looks == 0


class Slow(DummyPipeline):
    """Waits for permission in the middle of its third photo."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go_on = Event(), Event()

    def analyze(self, *arguments: Any) -> Any:
        if self.analyzed == 2:
            self.reached.set()
            assert self.go_on.wait(60)
        return super().analyze(*arguments)


def test_stopping_in_the_middle_loses_nothing(world: World) -> None:
    pipeline = Slow()
    session = world.open(pipeline)
    session.gallery.sync()
    for i in range(70):
        world.put(f"alice/{i:02}.jpg", photo("alice", i))
    watch = FolderWatch(session.gallery, SOON)
    watch.start()
    assert pipeline.reached.wait(60)
    # What asks to stop does not wait for the other 67.
    watch._closing.set()
    pipeline.go_on.set()
    watch.close()
    assert pipeline.analyzed == 3
    assert session.gallery.reference_count() == 3
    again, report = world.restart()
    assert (report.added, report.unchanged) == (67, 3)
    assert again.pipeline.analyzed == 67


def test_a_hanging_disk_does_not_hold_up_the_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.folder_watch._CLOSE_SECONDS", 0.01)
    begun, go_on = Event(), Event()

    class Hanging(Looks):
        def look(self, stopping: Callable[[], bool]) -> float:
            begun.set()
            go_on.wait(60)
            return super().look(stopping)

    with caplog.at_level(logging.DEBUG, "facetwin"), watching(Hanging(0.0)) as watch:
        begun.wait(60)
        watch.close()
        go_on.set()
    assert "is left" in caplog.text


def test_one_photo_that_makes_the_model_fail_keeps_out_no_other(world: World) -> None:
    class Fragile(DummyPipeline):
        def analyze(self, data: bytes, *arguments: Any) -> Any:
            if b"poison" in data:
                raise ZeroDivisionError
            return super().analyze(data, *arguments)

    session = world.open(Fragile())
    world.put("alice/a.jpg", photo("alice", "poison"))
    world.put("alice/b.jpg", photo("alice"))
    report = session.gallery.sync()
    assert (report.added, [file.path for file in report.skipped]) == (1, ["alice/a.jpg"])


def test_removed_references_leave_memory(world: World, session: Session) -> None:
    for i in range(3):
        world.put(f"alice/{i}.jpg", photo("alice", i))
    session.gallery.sync()
    gallery: Gallery = session.gallery
    gallery.references("alice")
    (world.images / "alice" / "0.jpg").unlink()
    gallery.look(never)
    assert len(gallery._snapshots._snapshot.subjects["alice"].references) == 2
