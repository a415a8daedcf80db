"""Links in the folder, also those that appear in the middle of something, lead nowhere."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import StorageError
from app.storage.files import ReferenceFiles
from app.storage.layout import is_folder_path
from app.storage.scan import FolderScan, scan_folder
from tests.dummy_pipeline import photo
from tests.services.world import Session, World


@pytest.fixture
def outside(world: World) -> Path:
    """A folder elsewhere that holds a photo."""
    folder = world.root / "outside"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(photo("eve"))
    return folder


def swap(world: World, outside: Path) -> None:
    """Put a link in the place of Alice's folder."""
    (world.images / "alice").rename(world.root / "away")
    (world.images / "alice").symlink_to(outside)


def test_links_to_files_and_folders_are_not_followed(
    world: World, session: Session, outside: Path
) -> None:
    (world.images / "linked").symlink_to(outside)
    (world.images / "link.jpg").symlink_to(outside / "a.jpg")
    world.put("bob/b.jpg", photo("bob"))
    (world.images / "bob" / "link.jpg").symlink_to(outside / "a.jpg")
    (world.images / "bob" / "hard.jpg").symlink_to("b.jpg")
    report = session.gallery.sync()
    assert (report.added, report.skipped) == (1, ())
    assert [s.subject for s in session.gallery.subjects()] == ["bob"]


def test_a_photo_that_became_a_link_is_gone(world: World, session: Session, outside: Path) -> None:
    world.put("alice/a.jpg", photo("alice"))
    world.put("alice/b.jpg", photo("alice", 1))
    session.gallery.sync()
    (world.images / "alice" / "a.jpg").unlink()
    (world.images / "alice" / "a.jpg").symlink_to(outside / "a.jpg")
    assert session.gallery.sync().removed == 1
    assert not session.verify("alice", photo("eve", "probe")).verdict.verified


@pytest.mark.parametrize("moment", ["scan_folder", "exists", "stamp", "read"])
def test_a_folder_swapped_for_a_link_during_a_synchronisation(
    world: World,
    session: Session,
    outside: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    world.put("alice/a.jpg", photo("alice"))
    swapped: list[bool] = []

    def swapping(original: Callable[..., object], *, before: bool) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            result = None if before else original(*arguments)
            if not swapped:
                swapped.append(True)
                swap(world, outside)
            return original(*arguments) if before else result

        return call

    if moment == "scan_folder":
        monkeypatch.setattr("app.storage.files.scan_folder", swapping(scan_folder, before=False))
    else:
        original = getattr(ReferenceFiles, moment)
        monkeypatch.setattr(ReferenceFiles, moment, swapping(original, before=True))
    report = session.gallery.sync()
    assert swapped == [True]
    assert (report.added, session.gallery.reference_count()) == (0, 0)
    assert session.gallery.sync().added == 0
    assert (outside / "a.jpg").exists()


def test_a_folder_swapped_between_two_listings(
    world: World, session: Session, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("alice/a.jpg", photo("alice"))
    original = os.open

    def swapping(path: str, *arguments: Any, **options: Any) -> int:
        if path == "alice" and not (world.root / "away").exists():
            swap(world, outside)
        return original(path, *arguments, **options)

    monkeypatch.setattr(os, "open", swapping)
    files = ReferenceFiles(world.images)
    assert files.scan() == FolderScan((), ("alice",), (), marker=files.stamp(".facetwin-gallery"))


def test_a_deletion_does_not_reach_through_a_link(
    world: World, session: Session, outside: Path
) -> None:
    world.put("alice/deep/a.jpg", photo("alice"))
    session.enroll("alice", photo("alice"))
    files = ReferenceFiles(world.images)
    doomed = [path for path in files.everything_of("alice") if not is_folder_path(path)]
    (outside / "deep").mkdir()
    for path in doomed:
        (outside / Path(path).relative_to("alice")).write_bytes(b"not to be touched")
    before = sorted(outside.rglob("*"))
    swap(world, outside)
    assert files.remove(doomed) == {}
    files.discard_staged(doomed)
    files.drop_folder("alice/deep")
    with pytest.raises(StorageError):
        files.publish(doomed)
    assert sorted(outside.rglob("*")) == before


def test_an_upload_does_not_reach_through_a_link(
    world: World, session: Session, outside: Path
) -> None:
    session.enroll("alice", photo("alice"))
    swap(world, outside)
    with pytest.raises(StorageError, match=r"symbolic link|Not a directory"):
        ReferenceFiles(world.images).stage("alice/b.jpg", b"x")
    assert [path.name for path in outside.iterdir()] == ["a.jpg"]


def test_a_pipe_in_the_place_of_a_photo_does_not_block(world: World) -> None:
    os.mkfifo(world.images / "a.jpg")
    files = ReferenceFiles(world.images)
    assert files.scan().files == ()
    with pytest.raises(OSError, match="regular"):
        files.read("a.jpg", 100)
