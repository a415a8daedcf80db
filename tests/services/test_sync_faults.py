"""What can go wrong in the middle of a synchronisation, and what is left then."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.domain.entities import FacePolicy
from app.domain.errors import StorageError
from app.storage.database import Database
from app.storage.files import ReferenceFiles
from tests.dummy_pipeline import DummyPipeline, photo
from tests.services.test_concurrency import run
from tests.services.test_crashes import Fault, PowerCut
from tests.services.world import Session, World

NEW = DummyPipeline(version="dummy-2", fingerprint="e" * 64)


def prepare(world: World) -> None:
    session = world.open()
    for i in range(6):
        world.put(f"alice/{i}.jpg", photo("alice", i))
    session.gallery.sync()
    session.enroll("bob", photo("bob"))
    world.close()


def change_folder(world: World) -> None:
    """Removals, additions of a known and a new subject, a change, an unusable photo."""
    for i in (0, 1):
        (world.images / "alice" / f"{i}.jpg").unlink()
    world.put("alice/2.jpg", photo("alice", "changed"))
    world.put("alice/new.jpg", photo("alice", "new"))
    world.put("carol/c.jpg", photo("carol"))
    world.put("carol/none.jpg", photo("carol", faces=0))
    world.put(".facetwin-gallery", b"damaged")


def check(world: World, session: Session, *, embeddings: int) -> None:
    """The folder and nothing else is in the gallery."""
    usable = [path for path in world.files() if path != "carol/none.jpg"]
    assert sorted(str(row[2]) for row in world.rows("images")) == usable
    assert len(usable) == session.gallery.reference_count() == 7
    assert len(world.rows("embeddings")) == embeddings
    assert len(world.rows("skipped_files")) == 1
    assert world.rows("pending_removals") == []
    assert sorted(str(row[1]) for row in world.rows("subjects")) == ["alice", "bob", "carol"]
    assert session.gallery.health().degraded == ()
    assert session.audit.verify().ok
    for name in ("alice", "bob", "carol"):
        assert session.verify(name, photo(name, "probe")).verdict.verified


@pytest.mark.parametrize("fingerprint", ["d" * 64, "e" * 64])
def test_a_power_cut_in_a_synchronisation_is_made_up_for(tmp_path: Path, fingerprint: str) -> None:
    cuts = 0
    # Under a new fingerprint the photos that were not changed keep the old embeddings too.
    embeddings = 7 if fingerprint == "d" * 64 else 11
    for at in range(200):
        (tmp_path / str(at)).mkdir()
        world = World(tmp_path / str(at))
        prepare(world)
        change_folder(world)
        session = world.open(DummyPipeline(fingerprint=fingerprint), claim=False)
        fault = Fault(at, PowerCut())
        try:
            with fault.armed():
                session.gallery.sync()
        except PowerCut:
            cuts += 1
            session, _ = world.restart(DummyPipeline(fingerprint=fingerprint), claim=False)
        check(world, session, embeddings=embeddings)
        world.close()
        if fault.steps <= at:
            break
    assert cuts >= 8


def test_a_database_error_in_the_middle_leaves_whole_batches(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.gallery.sync()
    for i in range(100):
        world.put(f"alice/{i:02}.jpg", photo("alice", i))
    write = Database.write
    writes: list[int] = []

    def failing(database: Database) -> Any:
        writes.append(1)
        if len(writes) == 4:
            raise StorageError("The disk that holds the database is full. Free some space.")
        return write(database)

    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", failing)
        with pytest.raises(StorageError, match="full"):
            session.gallery.sync()
    assert session.gallery.reference_count() == 64
    assert session.gallery.sync().added == 36


def while_reading(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something right after a photo was read for the first time."""
    read = ReferenceFiles.read
    done: list[bool] = []

    def reading(files: ReferenceFiles, path: str, max_bytes: int) -> Any:
        result = read(files, path, max_bytes)
        if not done:
            done.append(True)
            act()
        return result

    monkeypatch.setattr(ReferenceFiles, "read", reading)


def test_a_file_replaced_while_it_is_read(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = world.put("alice/a.jpg", photo("alice"))

    def replace() -> None:
        other = world.put("other.tmp", photo("eve"))
        other.replace(place)

    while_reading(monkeypatch, replace)
    # What was read is not there any more, what is there was not read.
    assert session.gallery.sync().added == 0
    assert session.gallery.sync().added == 1
    assert session.verify("alice", photo("eve", "probe")).verdict.verified


def test_a_file_deleted_while_it_is_read(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = world.put("alice/a.jpg", photo("alice"))
    while_reading(monkeypatch, place.unlink)
    assert session.gallery.sync().added == 0
    assert world.rows("images") == []
    session.gallery.sync()
    assert session.gallery.health().report.skipped == ()


def test_a_person_deleted_and_put_back_while_being_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncing, server = world.open(), world.open()
    world.put("alice/a.jpg", photo("alice"))
    server.gallery.sync()
    world.put("alice/a.jpg", photo("alice", "changed"))

    def delete_and_put() -> None:
        server.gallery.delete_subject("alice")
        world.put("alice/a.jpg", photo("eve", "of the same name"))

    while_reading(monkeypatch, delete_and_put)
    syncing.gallery.sync()
    assert world.rows("embeddings") == []
    syncing.gallery.sync()
    assert not syncing.verify("alice", photo("alice", "probe")).verdict.verified


def test_deleted_by_hand_leaves_no_trace_on_the_disk(world: World) -> None:
    session = world.open()
    for name in ("alice", "bob", "unforgettable"):
        world.put(f"{name}/a.jpg", photo(name))
        world.put(f"{name}/b.jpg", photo(name, 1))
    session.gallery.sync()
    planted = [r.embedding.tobytes() for r in session.gallery.references("unforgettable")[1]]
    for path in ("a.jpg", "b.jpg"):
        (world.images / "unforgettable" / path).unlink()
    (world.images / "unforgettable").rmdir()
    assert session.gallery.sync().removed == 2
    for file in world.root.glob("facetwin.sqlite*"):
        content = file.read_bytes()
        assert b"unforgettable" not in content
        assert not any(vector in content for vector in planted)


def test_a_replaced_photo_leaves_no_trace_of_its_embedding(world: World) -> None:
    session = world.open()
    world.put("alice/a.jpg", photo("alice"))
    session.gallery.sync()
    (reference,) = session.gallery.references("alice")[1]
    planted = reference.embedding.tobytes()
    world.put("alice/a.jpg", photo("eve", "a new picture"))
    session.gallery.sync()
    files = list(world.root.glob("facetwin.sqlite*"))
    assert not any(planted in file.read_bytes() for file in files)


def test_traces_are_erased_once_and_after_a_kill(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(5):
        world.put(f"alice/{i}.jpg", photo("alice", i))
    session.gallery.sync()
    erased: list[bool] = []
    monkeypatch.setattr(Database, "erase_traces", lambda _: erased.append(True))
    session.gallery.sync()
    assert erased == []
    for i in range(2):
        (world.images / "alice" / f"{i}.jpg").unlink()
    session.gallery.sync()
    assert erased == [True]
    # A process before this one may have been killed between the removal and this.
    world.restart()
    assert erased == [True, True]


def test_two_processes_follow_a_folder_that_changes(world: World) -> None:
    sessions = [world.open(), world.open()]
    for i in range(30):
        world.put(f"keep/{i}.jpg", photo("keep", i))
    sessions[0].gallery.sync()

    def follow(session: Session) -> None:
        for _ in range(10):
            session.gallery.look(lambda: False)

    def churn() -> None:
        for i in range(10):
            place = world.put(f"churn/{i}.jpg", photo("churn", i))
            if i % 2:
                place.unlink()
            sessions[i % 2].enroll("sent", photo("sent", i))

    run([], [lambda: follow(sessions[0]), lambda: follow(sessions[1]), churn])
    for session in sessions:
        session.gallery.sync()
        counts = {s.subject: s.references for s in session.gallery.subjects()}
        assert counts == {"churn": 5, "keep": 30, "sent": 10}
    assert len(world.rows("embeddings")) == len(world.files()) == 45
    assert sessions[0].audit.verify().ok


def test_an_upload_published_during_the_look_is_not_taken_for_gone(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photo is renamed between the two places where it may lie."""
    session.enroll("alice", photo("alice"), photo("alice", 1))
    path = world.files()[0]
    staged = world.images / Path(path).with_name(f".incoming-{Path(path).name}")
    (world.images / path).rename(staged)
    stat = os.stat
    moved: list[bool] = []

    def publishing(name: str, *arguments: Any, **options: Any) -> os.stat_result:
        try:
            return stat(name, *arguments, **options)
        finally:
            if name in {Path(path).name, staged.name} and not moved:
                moved.append(True)
                staged.rename(world.images / path)

    files = ReferenceFiles(world.images)
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", publishing)
        assert files.exists(path)
    assert moved == [True]


def test_the_audit_log_tells_of_changes_by_hand(world: World, session: Session) -> None:
    for i in range(3):
        world.put(f"alice/{i}.jpg", photo("alice", i))
    session.gallery.sync()
    (world.images / "alice" / "0.jpg").unlink()
    world.put("alice/1.jpg", photo("alice", "changed"))
    session.gallery.sync()
    entries = session.audit.about(session.audit.pseudonym("alice"))
    told = {(e.actor, e.action, e.outcome, e.details["references"]) for e in entries}
    assert told == {
        ("service", "sync", "added", 3),
        ("service", "sync", "removed", 1),
        ("service", "sync", "changed", 1),
    }


def test_a_new_bundle_does_not_wait_for_old_photos_to_settle(world: World) -> None:
    world.put("alice/a.jpg", photo("alice"))
    world.open().gallery.sync()
    # The file is young, but the same as when it was embedded before.
    session = world.open(NEW, settle_seconds=3600.0)
    assert session.gallery.sync().embedded == 1
    assert session.pipeline.analyze(photo("alice"), FacePolicy.PROMINENT).faces == 1


def test_a_replaced_photo_that_can_not_be_looked_at_keeps_no_reference(world: World) -> None:
    class Fragile(DummyPipeline):
        def analyze(self, data: bytes, *arguments: Any) -> Any:
            if b"poison" in data:
                raise ZeroDivisionError
            return super().analyze(data, *arguments)

    session = world.open(Fragile())
    world.put("alice/huge.jpg", photo("alice"))
    world.put("alice/poison.jpg", photo("alice", 1))
    session.gallery.sync()
    world.put("alice/huge.jpg", b"x" * 30_000_000)
    world.put("alice/poison.jpg", b"poison")
    report = session.gallery.sync()
    assert (report.removed, len(report.skipped)) == (2, 2)
    assert session.gallery.reference_count() == 0


def test_a_photo_that_the_model_fails_on_keeps_its_reference_while_it_stays(world: World) -> None:
    class Failing(DummyPipeline):
        def analyze(self, *_: Any) -> Any:
            raise ZeroDivisionError

    world.put("alice/a.jpg", photo("alice"))
    world.open().gallery.sync()
    _, report = world.restart(Failing(fingerprint="e" * 64))
    assert (report.removed, len(world.rows("images"))) == (0, 1)


def test_photos_that_swap_their_names_stay_references(world: World, session: Session) -> None:
    a, b = (world.put(f"alice/{name}.jpg", photo("alice", name)) for name in "ab")
    session.gallery.sync()
    swap = a.with_name("swap.tmp")
    a.rename(swap)
    b.rename(a)
    swap.rename(b)
    os.utime(a, (1, 1))
    os.utime(b, (2, 2))
    session.gallery.sync()
    assert session.gallery.sync().unchanged == 2
    assert session.gallery.health().report.skipped == ()
    # A copy is still none, also where the photo that it repeats was touched.
    world.put("alice/copy.jpg", a.read_bytes())
    session.gallery.sync()
    os.utime(a, (3, 3))
    session.gallery.sync()
    assert session.gallery.reference_count() == 2


def test_one_photo_that_gets_no_name_holds_up_no_other(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.enroll("alice", photo("alice"))
    session.enroll("bob", photo("bob"))
    for path in world.files():
        place = world.images / path
        place.rename(place.with_name(f".incoming-{place.name}"))
    world.close()
    replace = os.replace
    stuck = world.files()[0].replace(".incoming-", "")

    def refuse(source: Any, target: Any, **options: Any) -> None:
        if target == Path(stuck).name:
            raise PermissionError(1, "Operation not permitted")
        replace(source, target, **options)

    session = world.open()
    world.put("carol/c.jpg", photo("carol"))
    monkeypatch.setattr("app.services.gallery_sync.RETRY_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        report = session.gallery.sync()
        assert [file.path for file in report.skipped] == [stuck]
        assert session.gallery.reference_count() == 3
        session.gallery.look(lambda: False)
        assert len(session.gallery.health().report.skipped) == 1
    session.gallery.look(lambda: False)
    assert session.gallery.health().report.skipped == ()
    assert not [path for path in world.files() if ".incoming-" in path]


def test_a_staged_photo_on_a_read_only_disk_is_tried_again(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.enroll("alice", photo("alice"))
    (path,) = world.files()
    place = world.images / path
    place.rename(place.with_name(f".incoming-{place.name}"))
    monkeypatch.setattr("app.services.gallery_sync.RETRY_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr("app.storage.home.GalleryHome.is_writable", lambda _: False)
        session.gallery.look(lambda: False)
        assert not place.exists()
    session.gallery.look(lambda: False)
    assert place.exists()
