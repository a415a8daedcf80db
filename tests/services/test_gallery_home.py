"""Missing disks, wrong disks, and photos that are really gone."""

import errno
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import StorageError
from app.services.gallery import Gallery
from app.services.settling import Clock
from app.storage.layout import MARKER
from app.storage.scan import FolderScan
from tests.dummy_pipeline import photo
from tests.services.world import Session, World


def codes(gallery: Gallery) -> list[str]:
    return [problem.code.value for problem in gallery.health().degraded]


def fill(world: World, session: Session) -> None:
    """Four references, two by hand and two sent; the folder is marked."""
    for name in "ab":
        world.put(f"alice/{name}.jpg", photo("alice", name))
    session.gallery.sync()
    session.enroll("bob", photo("bob"), photo("bob", 1))


def still_there(session: Session) -> None:
    """Nothing was removed, and verification goes on."""
    assert session.gallery.reference_count() == 4
    assert session.verify("alice", photo("alice", "probe")).verdict.verified
    assert session.verify("bob", photo("bob", "probe")).verdict.verified


def refuses_changes(session: Session, match: str) -> None:
    """Enrolling and deleting are refused before anything is changed."""
    revision = session.database.revision()
    image_id = session.gallery.references("bob")[1][0].image_id
    for change in (
        lambda: session.enroll("carol", photo("carol")),
        lambda: session.gallery.delete_subject("bob"),
        lambda: session.gallery.delete_image("bob", image_id),
    ):
        with pytest.raises(StorageError, match=match):
            change()
    assert session.database.revision() == revision


def test_the_first_synchronisation_marks_the_folder(world: World) -> None:
    session = world.open(claim=False)
    with pytest.raises(StorageError, match="carries no marker"):
        session.enroll("alice", photo("alice"))
    session.gallery.sync()
    marker = world.images / MARKER
    (row,) = world.rows("gallery_state")
    assert marker.read_text("ascii").strip() in row
    assert stat.S_IMODE(marker.stat().st_mode) == 0o600
    session.enroll("alice", photo("alice"))
    assert world.files() == [f"alice/{session.gallery.references('alice')[1][0].image_id}.jpg"]


def test_an_unmounted_disk_is_not_an_erasure(world: World, session: Session) -> None:
    fill(world, session)
    away = world.images.rename(world.root / "away")
    assert session.gallery.sync().removed == 0
    assert codes(session.gallery) == ["images_folder_missing"]
    still_there(session)
    refuses_changes(session, "can't be stored or deleted now")
    # An empty folder is what is left where a disk should be mounted.
    world.images.mkdir()
    assert session.gallery.sync().removed == 0
    assert codes(session.gallery) == ["images_folder_foreign"]
    still_there(session)
    refuses_changes(session, "carries no marker")
    assert not list(world.images.iterdir())
    world.images.rmdir()
    away.rename(world.images)
    assert session.gallery.sync().unchanged == 4
    assert codes(session.gallery) == []
    assert session.gallery.delete_subject("bob").removed.references == 2


def test_a_service_starts_without_its_disk(world: World) -> None:
    fill(world, world.open())
    shutil.move(world.images, world.root / "away")
    world.images.mkdir()
    session, report = world.restart(claim=False)
    assert (report.removed, codes(session.gallery)) == (0, ["images_folder_foreign"])
    still_there(session)
    world.images.rmdir()
    session, _ = world.restart(claim=False)
    assert codes(session.gallery) == ["images_folder_missing"]
    still_there(session)
    shutil.move(world.root / "away", world.images)
    session, report = world.restart(claim=False)
    assert (report.unchanged, codes(session.gallery)) == (4, [])


def test_another_gallerys_disk_is_left_alone(world: World, session: Session) -> None:
    fill(world, session)
    shutil.move(world.images, world.root / "away")
    world.put("alice/x.jpg", photo("eve"))
    world.put(MARKER, b"0" * 32)
    session.gallery.sync()
    assert codes(session.gallery) == ["images_folder_foreign"]
    # Eve is not let in as Alice.
    assert not session.verify("alice", photo("eve", "probe")).verdict.verified
    still_there(session)
    refuses_changes(session, "belongs to another gallery")
    assert world.files() == ["alice/x.jpg"]


def test_a_rebuilt_database_takes_the_folder_over(world: World) -> None:
    fill(world, world.open())
    world.close()
    for file in Path(world.root).glob("facetwin.sqlite*"):
        file.unlink()
    session, report = world.restart(claim=False)
    assert (report.added, codes(session.gallery)) == (4, [])
    still_there(session)
    session.gallery.delete_subject("bob")


def test_a_lost_marker_is_made_again_where_the_photos_are(world: World, session: Session) -> None:
    fill(world, session)
    (world.images / MARKER).unlink()
    (world.images / "alice" / "a.jpg").unlink()
    assert session.gallery.sync().removed == 1
    assert (world.images / MARKER).exists()
    assert codes(session.gallery) == []


def test_photos_of_the_same_name_are_not_the_gallerys(world: World, session: Session) -> None:
    fill(world, session)
    (world.images / MARKER).unlink()
    for path in world.files():
        (world.images / path).write_bytes(photo("eve", path))
    session.gallery.sync()
    assert codes(session.gallery) == ["images_folder_foreign"]
    still_there(session)


def test_more_than_half_is_kept_until_it_is_confirmed(world: World, session: Session) -> None:
    fill(world, session)
    for path in world.files()[:3]:
        (world.images / path).unlink()
    world.put("alice/new.jpg", photo("alice", "new"))
    report = session.gallery.sync()
    # The folder is the right one: what was put there counts.
    assert (report.removed, report.added) == (0, 1)
    assert codes(session.gallery) == ["files_missing"]
    assert "3 of 4" in session.gallery.health().degraded[0].message
    assert "--accept-removals" in session.gallery.health().degraded[0].message
    assert session.gallery.reference_count() == 5
    command = world.open()
    assert command.gallery.sync(accept_removals=True).removed == 3
    # The service notices.
    session.gallery.look(lambda: False)
    assert codes(session.gallery) == []
    assert session.gallery.reference_count() == 2


def test_half_of_the_photos_may_go_without_a_word(world: World, session: Session) -> None:
    fill(world, session)
    shutil.rmtree(world.images / "alice")
    assert session.gallery.sync().removed == 2
    assert codes(session.gallery) == []


def test_removals_from_an_unmarked_folder_can_be_confirmed(world: World, session: Session) -> None:
    fill(world, session)
    shutil.rmtree(world.images)
    world.images.mkdir()
    assert session.gallery.sync(accept_removals=True).removed == 4
    assert codes(session.gallery) == []
    assert session.gallery.subjects() == []
    assert world.rows("images") == world.rows("embeddings") == []
    session.enroll("alice", photo("alice"))


def test_a_deletion_is_not_finished_on_the_wrong_disk(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, session)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        with pytest.raises(StorageError):
            session.gallery.delete_subject("bob")
    away = world.images.rename(world.root / "away")
    world.images.mkdir()
    session, _ = world.restart(claim=False)
    assert len(world.rows("pending_removals")) == 2
    world.images.rmdir()
    away.rename(world.images)
    session, report = world.restart(claim=False)
    # With the disk the files came back; they are deleted, not taken for new photos.
    assert (report.added, world.rows("pending_removals")) == (0, [])
    assert world.files() == ["alice/a.jpg", "alice/b.jpg"]


def test_a_disk_that_goes_between_look_and_removal(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, session)
    (world.images / "alice" / "a.jpg").unlink()
    judge = session.gallery._folder._trust.judge

    def judge_and_unmount(*arguments: object, **options: object) -> object:
        verdict = judge(*arguments, **options)  # type: ignore[arg-type]
        world.images.rename(world.root / "away")
        return verdict

    with monkeypatch.context() as patch:
        patch.setattr(session.gallery._folder._trust, "judge", judge_and_unmount)
        assert session.gallery.sync().removed == 0
    still_there(session)
    (world.root / "away").rename(world.images)
    assert session.gallery.sync().removed == 1


def test_a_read_only_disk_serves_and_says_so(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, session)
    status = os.fstatvfs

    def read_only(descriptor: int) -> os.statvfs_result:
        fields = list(status(descriptor))
        fields[8] |= os.ST_RDONLY
        return os.statvfs_result(fields)

    monkeypatch.setattr(os, "fstatvfs", read_only)
    refuses_changes(session, "its disk is read-only")
    (world.images / "alice" / "a.jpg").unlink()
    assert session.gallery.sync().removed == 1
    assert codes(session.gallery) == []
    assert session.verify("alice", photo("alice", "probe")).verdict.verified


def test_a_read_only_disk_without_a_marker_is_followed_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StorageError("its disk is read-only")

    monkeypatch.setattr("app.storage.home.GalleryHome.claim", refuse)
    session = world.open(claim=False)
    for name in "abc":
        world.put(f"alice/{name}.jpg", photo("alice", name))
    assert session.gallery.sync().added == 3
    (world.images / "alice" / "a.jpg").unlink()
    assert session.gallery.sync().removed == 1
    assert not (world.images / MARKER).exists()


def test_a_marker_that_is_a_link_or_half_written_is_none(world: World, session: Session) -> None:
    fill(world, session)
    marker = world.images / MARKER
    elsewhere = world.root / "elsewhere"
    marker.rename(elsewhere)
    marker.symlink_to(elsewhere)
    refuses_changes(session, "carries no marker")
    session.gallery.sync()
    assert marker.is_file()
    assert not marker.is_symlink()
    marker.write_bytes(b"")
    (world.images / f"{MARKER}.new").write_bytes(b"half")
    session.gallery.sync()
    session.enroll("carol", photo("carol"))


def test_a_folder_that_cannot_be_listed_keeps_its_references(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, session)
    original = os.open

    def refuse(path: str, *arguments: Any, **options: Any) -> int:
        if path == "alice":
            raise PermissionError(errno.EACCES, "Permission denied")
        return original(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        report = session.gallery.sync()
        assert [file.path for file in report.skipped] == ["alice"]
        assert (report.removed, codes(session.gallery)) == (0, [])
        assert [s.subject for s in session.gallery.subjects()] == ["alice", "bob"]
    assert session.gallery.sync().unchanged == 4


def test_a_root_that_cannot_be_read_is_reported(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, session)

    def refuse(*_: object) -> FolderScan:
        raise StorageError("The folder verification_images can't be read: Input/output error.")

    with monkeypatch.context() as patch:
        patch.setattr("app.storage.files.scan_folder", refuse)
        session.gallery.sync()
        assert codes(session.gallery) == ["images_folder_missing"]
        still_there(session)
    session.gallery.look(lambda: False)
    assert codes(session.gallery) == []


def ten(world: World) -> Session:
    """Ten references; the first six of their photos are gone."""
    for i in range(10):
        world.put(f"alice/{i}.jpg", photo("alice", i))
    session = world.open()
    session.gallery.sync()
    (world.root / "away").mkdir()
    for i in range(6):
        (world.images / "alice" / f"{i}.jpg").rename(world.root / "away" / f"{i}.jpg")
    return session


def put_back(world: World, i: int) -> None:
    (world.root / "away" / f"{i}.jpg").rename(world.images / "alice" / f"{i}.jpg")


def test_photos_may_be_put_back_one_by_one(world: World) -> None:
    session = ten(world)
    session.gallery.sync()
    for i in range(6):
        assert codes(session.gallery) == ["files_missing"]
        put_back(world, i)
        assert session.gallery.look(lambda: False) >= 0
        assert session.gallery.reference_count() == 10
        # Neither a restart nor a command beside the server forgets it.
        assert world.open().gallery.sync().removed == 0
    assert codes(session.gallery) == []
    assert world.rows("held_photos") == []
    # From now on a removal is one again.
    (world.images / "alice" / "0.jpg").unlink()
    assert session.gallery.sync().removed == 1


def test_a_foreign_folder_that_becomes_the_right_one_in_parts(world: World) -> None:
    session = ten(world)
    marker = world.images / MARKER
    marker.rename(world.root / "marker")
    session.gallery.sync()
    assert codes(session.gallery) == ["images_folder_foreign"]
    (world.root / "marker").rename(marker)
    put_back(world, 0)
    put_back(world, 1)
    assert session.gallery.sync().removed == 0
    assert codes(session.gallery) == ["files_missing"]


def test_the_loss_is_held_while_a_first_look_waits(world: World) -> None:
    ten(world)

    def meanwhile(_: float) -> None:
        put_back(world, 0)
        put_back(world, 1)

    session = world.open(settle_seconds=2.0, clock=Clock(sleep=meanwhile))
    world.put("alice/new.jpg", photo("alice", "new"))
    assert session.gallery.sync().removed == 0
    assert codes(session.gallery) == ["files_missing"]


def test_enrolling_does_not_outvote_what_is_missing(world: World, session: Session) -> None:
    fill(world, session)
    for path in world.files()[:3]:
        (world.images / path).unlink()
    session.gallery.sync()
    session.enroll("carol", *(photo("carol", i) for i in range(9)))
    assert session.gallery.sync().removed == 0
    assert codes(session.gallery) == ["files_missing"]
    assert session.gallery.reference_count() == 13
    # What goes meanwhile is held with it.
    (world.images / world.files()[-1]).unlink()
    assert session.gallery.sync().removed == 0
    assert world.open().gallery.sync(accept_removals=True).removed == 4
    session.gallery.look(lambda: False)
    assert (codes(session.gallery), session.gallery.reference_count()) == ([], 9)


def test_an_unreadable_folder_does_not_end_the_holding(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = ten(world)
    session.gallery.sync()
    original = os.open

    def refuse(path: str, *arguments: Any, **options: Any) -> int:
        if path == "alice":
            raise PermissionError(errno.EACCES, "Permission denied")
        return original(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        session.gallery.sync()
    put_back(world, 0)
    assert session.gallery.sync().removed == 0
    assert codes(session.gallery) == ["files_missing"]


def test_more_than_half_in_steps_is_held(world: World, session: Session) -> None:
    for i in range(10):
        world.put(f"alice/{i}.jpg", photo("alice", i))
    session.gallery.sync()
    for i in range(5):
        (world.images / "alice" / f"{i}.jpg").unlink()
    assert session.gallery.sync().removed == 5
    (world.images / "alice" / "5.jpg").unlink()
    assert session.gallery.sync().removed == 0
    assert codes(session.gallery) == ["files_missing"]


def test_nobody_is_deleted_whose_photos_are_elsewhere(world: World, session: Session) -> None:
    for name in ("p0", "p1", "p2"):
        world.put(f"{name}/a.jpg", photo(name))
    session.gallery.sync()
    away = world.root / "away"
    away.mkdir()
    for name in ("p0", "p1"):
        (world.images / name / "a.jpg").rename(away / f"{name}.jpg")
    image_id = session.gallery.references("p0")[1][0].image_id
    for _ in range(2):  # before the look that notices, and after it
        revision = session.database.revision()
        for delete in (
            lambda: session.gallery.delete_subject("p0"),
            lambda: session.gallery.delete_image("p0", image_id),
        ):
            with pytest.raises(StorageError, match="--accept-removals"):
                delete()
        assert session.database.revision() == revision
        session.gallery.sync()
    assert codes(session.gallery) == ["files_missing"]
    assert session.gallery.delete_subject("p2").removed.files == 1
    for name in ("p0", "p1"):
        (away / f"{name}.jpg").rename(world.images / name / "a.jpg")
    assert session.gallery.delete_subject("p0").removed.references == 1
    session.gallery.sync()
    assert [s.subject for s in session.gallery.subjects()] == ["p1"]


def test_many_removals_let_others_write_in_between(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(10):
        world.put(f"{'ab'[i % 2]}/{i}.jpg", photo("alice", i))
    session.gallery.sync()
    for i in range(0, 10, 2):
        (world.images / "a" / f"{i}.jpg").unlink()
    (world.images / "a").rmdir()
    monkeypatch.setattr("app.services.sync_rows._BATCH", 2)
    revision = session.database.revision()
    assert session.gallery.sync().removed == 5
    assert session.database.revision() == revision + 3
    assert [s.subject for s in session.gallery.subjects()] == ["b"]
    assert session.audit.verify().ok


def test_a_loss_that_another_process_holds_is_not_removed(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world, session)
    (world.images / "alice" / "a.jpg").unlink()
    judge = session.gallery._folder._trust.judge

    def judge_while_others_hold(*arguments: Any, **options: Any) -> object:
        verdict = judge(*arguments, **options)
        with session.database.write() as rows:
            rows.hold_photos(["alice/a.jpg"])
        return verdict

    with monkeypatch.context() as patch:
        patch.setattr(session.gallery._folder._trust, "judge", judge_while_others_hold)
        assert session.gallery.sync().removed == 0
    assert session.gallery.sync().removed == 0
    assert codes(session.gallery) == ["files_missing"]
