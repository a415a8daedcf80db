"""Erasure reaches everything in a person's folders, whatever it is and however it is named."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import StorageError
from app.storage.database import Database
from app.storage.files import ReferenceFiles
from tests.dummy_pipeline import photo
from tests.services.test_crashes import STEPS, Fault, PowerCut
from tests.services.world import Session, World

NOT_TEXT = b"Anna M\xfcller.jpg"
LONGEST = "n" * 251 + ".jpg"
"""255 bytes, as many as a name may have; the hidden name of such a photo can't exist."""


def put_bytes(world: World, folder: str, name: bytes) -> None:
    """Put a file by hand whose name need not be text."""
    (world.images / folder).mkdir(parents=True, exist_ok=True)
    (world.images / folder / os.fsdecode(name)).write_bytes(b"x")


def fill(world: World) -> None:
    """All that may lie in Anna's folders; eight things that are no folders."""
    world.put("anna/ok.jpg", photo("anna"))
    put_bytes(world, "anna", NOT_TEXT)
    put_bytes(world, "anna/deep/deeper", NOT_TEXT)
    put_bytes(world, os.fsdecode(b"anna/M\xfcller"), b"notes.txt")
    world.put(f"anna/{LONGEST}", photo("anna", 1))
    world.put("Anna/100%_.jpg", photo("anna", 2))
    (world.images / "anna" / "emptysub" / "below").mkdir(parents=True)
    (world.images / "anna" / "outside").symlink_to(world.root / "outside")
    (world.images / "ANNA").symlink_to(world.root / "outside")
    (world.root / "outside").mkdir()
    (world.root / "outside" / "kept.jpg").write_bytes(b"not hers")


def left(world: World) -> set[str]:
    """Everything in verification_images but the marker, folders too."""
    found = (p.relative_to(world.images).as_posix() for p in world.images.rglob("*"))
    return set(found) - {".facetwin-gallery"}


def test_everything_in_the_folders_goes(world: World, session: Session) -> None:
    fill(world)
    session.enroll("annabel", photo("annabel"))
    others = {path for path in left(world) if path.startswith("annabel")}
    assert session.gallery.sync().added == 3
    receipt = session.gallery.delete_subject("anna")
    assert left(world) == others
    assert (receipt.removed.references, receipt.removed.files) == (3, 8)
    assert (world.root / "outside" / "kept.jpg").exists()
    assert world.rows("pending_removals") == []
    assert session.gallery.health().report.skipped == ()


def test_a_power_cut_leaves_all_or_nothing_of_such_folders(tmp_path: Path) -> None:
    cuts = 0
    for at in range(300):
        (tmp_path / str(at)).mkdir()
        world = World(tmp_path / str(at))
        session = world.open()
        fill(world)
        session.gallery.sync()
        before = left(world)
        try:
            with Fault(at, PowerCut()).armed((*STEPS, (os, "rmdir"))):
                session.gallery.delete_subject("anna")
        except PowerCut:
            cuts += 1
            session, _ = world.restart()
            gone = not world.rows("subjects")
            assert left(world) == (set() if gone else before)
            assert world.rows("pending_removals") == []
        world.close()
        shutil.rmtree(tmp_path / str(at))
        if cuts == at:
            break
    assert cuts > 20


def refusing(call: Callable[..., None], name: bytes) -> Callable[..., None]:
    """`call`, but what has this name can't be removed."""

    def refuse(path: str, **options: Any) -> None:
        if os.fsencode(path) == name:
            raise PermissionError(errno.EACCES, "Permission denied")
        call(path, **options)

    return refuse


@pytest.mark.parametrize(
    ("step", "name", "shown"),
    [
        ("unlink", NOT_TEXT, "anna/Anna M\N{REPLACEMENT CHARACTER}ller.jpg"),
        ("rmdir", b"below", "anna/emptysub/below/"),
        ("unlink", b"ANNA", "ANNA"),
    ],
)
def test_what_cannot_be_deleted_is_told_and_deleted_later(
    world: World, session: Session, step: str, name: bytes, shown: str
) -> None:
    fill(world)
    session.gallery.sync()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, step, refusing(getattr(os, step), name))
        with pytest.raises(StorageError, match="not writable"):
            session.gallery.delete_subject("anna")
        with pytest.raises(StorageError, match="not writable"):
            session.gallery.delete_subject("anna")
        _, report = world.restart()
        assert shown in {file.path for file in report.skipped}
    session, report = world.restart()
    assert (left(world), report.skipped) == (set(), ())
    assert world.rows("pending_removals") == []


def test_who_comes_back_before_the_rest_is_deleted_is_not_touched(
    world: World, session: Session
) -> None:
    fill(world)
    session.gallery.sync()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "unlink", refusing(os.unlink, NOT_TEXT))
        with pytest.raises(StorageError):
            session.gallery.delete_subject("anna")
        session.enroll("anna", photo("anna", 7))
        world.put("anna/new/by-hand.txt", b"new")
    session, _ = world.restart()
    assert session.gallery.reference_count() == 1
    assert len(world.files()) == 2
    assert "anna/new/by-hand.txt" in world.files()


def test_of_the_default_subject_only_the_photos_in_the_root_go(
    world: World, session: Session
) -> None:
    put_bytes(world, "", NOT_TEXT)
    world.put("mine.jpg", photo("owner"))
    world.put("notes.txt", b"whose")
    world.put("anna/a.jpg", photo("anna"))
    world.put("blind.jpg", photo("owner", faces=0))
    world.put("anna/blind.jpg", photo("anna", faces=0))
    session.gallery.sync()
    (world.images / "blind.jpg").unlink()
    assert session.gallery.delete_subject("default").removed.files == 2
    assert left(world) == {"notes.txt", "anna", "anna/a.jpg", "anna/blind.jpg"}
    assert [row[0] for row in world.rows("skipped_files")] == ["anna/blind.jpg"]
    assert [file.path for file in session.gallery.health().report.skipped] == ["anna/blind.jpg"]


def test_a_photo_with_the_longest_name(world: World, session: Session) -> None:
    world.put(f"anna/{LONGEST}", photo("anna"))
    world.put("anna/a.jpg", photo("anna", 1))
    world.put("anna/b.jpg", photo("anna", 2))
    session.gallery.sync()
    (world.images / "anna" / LONGEST).unlink()
    assert session.gallery.sync().removed == 1
    world.put(f"anna/{LONGEST}", photo("anna"))
    session.gallery.sync()
    _, images = session.gallery.subject("anna")
    image = next(each for each in images if each.filename == LONGEST)
    session.gallery.delete_image("anna", image.image_id)
    assert world.files() == ["anna/a.jpg", "anna/b.jpg"]
    assert world.rows("pending_removals") == []


def test_a_deletion_with_the_longest_name(world: World, session: Session) -> None:
    world.put(f"anna/{LONGEST}", photo("anna"))
    session.gallery.sync()
    assert session.gallery.delete_subject("anna").removed.files == 1
    assert left(world) == set()
    assert world.rows("pending_removals") == []


def skipped(session: Session) -> list[str]:
    return [file.path for file in session.gallery.health().report.skipped]


def test_names_of_unusable_photos_are_forgotten(world: World, session: Session) -> None:
    gone = [
        world.put("er_a%/ErnaMustermann.jpg", photo("erna", faces=0)),
        world.put("er_a/ErnaMustermann.jpg", photo("erna", faces=0)),
        world.put("ER_A/100%.jpg", photo("erna", faces=0)),
    ]
    world.put("er_a/broken.jpg", b"no photo")
    kept = ["erna/a.jpg", "er_ab/a.jpg", "other/er_a.jpg"]
    for path in kept:
        world.put(path, photo("other", faces=0))
    session.gallery.sync()
    shutil.rmtree(gone[0].parent)
    for place in gone[1:]:
        place.unlink()
    assert "er_a/broken.jpg" in skipped(session)
    session.gallery.delete_subject("er_a")
    assert sorted(str(row[0]) for row in world.rows("skipped_files")) == sorted(kept)
    # At once, without a look at the folder; the folder er_a% was never a subject's.
    assert skipped(session) == ["er_a%", *sorted(kept)]
    for file in world.root.glob("facetwin.sqlite*"):
        assert b"Mustermann" not in file.read_bytes()


def test_names_of_missing_photos_are_forgotten(world: World, session: Session) -> None:
    session.enroll("erna", photo("erna"))
    with session.database.write() as rows:
        rows.hold_photos(["Erna/ErnaMustermann.jpg", "ernab/a.jpg", "a.jpg"])
    session.gallery.delete_subject("erna")
    assert sorted(world.rows("held_photos")) == [("a.jpg",), ("ernab/a.jpg",)]


def test_who_is_erased_during_a_synchronisation_is_not_shown_after_it(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put("erna/broken.jpg", b"no photo")
    world.put("erna/blind.jpg", photo("erna", faces=0))
    world.put("bob/broken.jpg", b"no photo")
    erase = Database.erase_traces

    def erase_erna(database: Database, **options: Any) -> bool:
        # The synchronisation has looked at everything by now.
        monkeypatch.setattr(Database, "erase_traces", erase)
        session.gallery.delete_subject("erna")
        return erase(database, **options)

    monkeypatch.setattr(Database, "erase_traces", erase_erna)
    session.gallery.sync()
    assert "erna" not in {s.subject for s in session.gallery.subjects()}
    assert skipped(session) == ["bob/broken.jpg"]
    # What is put there afterwards is seen.
    world.put("erna/broken.jpg", b"no photo")
    session.gallery.look(lambda: False)
    assert skipped(session) == ["bob/broken.jpg", "erna/broken.jpg"]


def test_everything_of_lists_folders_after_what_lies_in_them(world: World) -> None:
    world.put("anna/a/b/c.txt", b"")
    found = ReferenceFiles(world.images).everything_of("anna")
    assert found == ["anna/a/b/c.txt", "anna/a/b/", "anna/a/", "anna/"]
