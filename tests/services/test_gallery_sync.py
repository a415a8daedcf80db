import os
from pathlib import Path
from typing import Any

import pytest

from app.domain.entities import FacePolicy, ReasonCode
from app.services.enrollment import Upload
from app.services.gallery import Gallery, SyncReport
from tests.dummy_pipeline import DummyPipeline, photo
from tests.services.world import Session, World


def skips(report: SyncReport) -> dict[str, ReasonCode]:
    return {file.path: file.reasons[0].code for file in report.skipped}


def counts(report: SyncReport) -> tuple[int, int, int, int]:
    return report.added, report.removed, report.embedded, report.unchanged


def test_photos_in_the_folder_become_references(world: World, session: Session) -> None:
    world.put("me.jpg", photo("owner"))
    world.put("Alice/a.PNG", photo("alice"))
    world.put("Alice/b.webp", photo("alice", 1))
    seen: list[tuple[int, int]] = []
    report = session.gallery.sync(lambda done, total: seen.append((done, total)))
    assert counts(report) == (3, 0, 3, 0)
    assert report.skipped == ()
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert [(s.subject, s.references) for s in session.gallery.subjects()] == [
        ("Alice", 2),
        ("default", 1),
    ]
    assert session.verify("alice", photo("alice", "probe")).verdict.verified
    assert session.verify("default", photo("owner", "probe")).verdict.verified
    _, images = session.gallery.subject("alice")
    assert {(i.filename, i.source) for i in images} == {("a.PNG", "folder"), ("b.webp", "folder")}


def test_what_is_not_a_photo_is_ignored(world: World, session: Session) -> None:
    for path in (".gitkeep", ".hidden.jpg", "notes.txt", "alice/.DS_Store", ".cache/a.jpg"):
        world.put(path, photo("alice"))
    world.put("alice/deep/a.jpg", photo("alice"))
    outside = world.root / "outside"
    outside.mkdir()
    (outside / "a.jpg").write_bytes(photo("alice"))
    (world.images / "linked").symlink_to(outside)
    (world.images / "alice" / "link.jpg").symlink_to(outside / "a.jpg")
    report = session.gallery.sync()
    assert counts(report) == (0, 0, 0, 0)
    assert [file.path for file in report.skipped] == ["alice/deep"]
    assert session.gallery.subjects() == []


def test_folders_that_cannot_be_subjects_are_reported(world: World, session: Session) -> None:
    for folder in ("default", "Default", "-odd-", "two words"):
        world.put(f"{folder}/a.jpg", photo("alice"))
    world.put("bob/b.jpg", photo("bob"))
    (world.images / os.fsdecode(b"bob/\xff.jpg")).write_bytes(photo("bob", 1))
    report = session.gallery.sync()
    assert [file.path for file in report.skipped] == [
        "-odd-",
        "Default",
        "bob/\N{REPLACEMENT CHARACTER}.jpg",
        "default",
        "two words",
    ]
    assert [s.subject for s in session.gallery.subjects()] == ["bob"]


def test_a_restart_embeds_nothing(world: World, session: Session) -> None:
    world.put("alice/a.jpg", photo("alice"))
    world.put("alice/none.jpg", photo("alice", faces=0))
    session.gallery.sync()
    session.enroll("alice", photo("alice", 1))
    revision = session.database.revision()
    again, report = world.restart()
    assert again.pipeline.analyzed == 0
    assert counts(report) == (0, 0, 0, 2)
    assert skips(report) == {"alice/none.jpg": ReasonCode.NO_FACE}
    assert again.database.revision() == revision
    assert again.verify("alice", photo("alice", "probe")).verdict.verified


def test_unusable_photos_are_skipped_and_left_alone(world: World, session: Session) -> None:
    bad = {
        "damaged.jpg": (b"?", ReasonCode.INVALID_IMAGE),
        "empty.jpg": (b"", ReasonCode.INVALID_IMAGE),
        "gif.jpg": (b"GIF89a", ReasonCode.INVALID_IMAGE),
        "huge.jpg": (b"x" * 200_000, ReasonCode.INVALID_IMAGE),
        "nobody.jpg": (photo("alice", faces=0), ReasonCode.NO_FACE),
        "blurred.jpg": (photo("alice", quality=0.1), ReasonCode.TOO_BLURRY),
    }
    for name, (data, _) in bad.items():
        world.put(f"alice/{name}", data)
    report = session.gallery.sync()
    expected = {f"alice/{name}": code for name, (_, code) in bad.items()}
    assert skips(report) == expected
    assert world.files() == sorted(expected)
    again, second = world.restart()
    assert skips(second) == expected
    # Undecodable files are looked at again: a limit may have been raised.
    assert again.pipeline.analyzed == 0
    world.put("alice/nobody.jpg", photo("alice"))
    assert counts(again.gallery.sync()) == (1, 0, 1, 0)
    assert world.rows("skipped_files")[0][0] == "alice/blurred.jpg"
    assert len(world.rows("skipped_files")) == 1


def test_an_unreadable_file_keeps_its_reference(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = world.put("alice/a.jpg", photo("alice"))
    session.gallery.sync()
    os.utime(place, (1, 1))

    original = os.open

    def refuse(path: str, *arguments: Any, **options: Any) -> int:
        if path == "a.jpg":
            raise PermissionError(13, "Permission denied")
        return original(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        report = session.gallery.sync()
    assert skips(report) == {"alice/a.jpg": ReasonCode.INVALID_IMAGE}
    assert session.gallery.reference_count() == 1


def test_a_changed_photo_is_embedded_again(world: World, session: Session) -> None:
    place = world.put("alice/a.jpg", photo("alice"))
    session.gallery.sync()
    before = session.gallery.references("alice")[2].copy()
    place.write_bytes(photo("alice", "changed"))
    assert counts(session.gallery.sync()) == (0, 0, 1, 0)
    after = session.gallery.references("alice")[2]
    assert before.tolist() != after.tolist()
    assert len(world.rows("embeddings")) == 1
    place.write_bytes(photo("alice", faces=0))
    assert counts(session.gallery.sync()) == (0, 1, 0, 0)
    assert session.gallery.reference_count() == 0
    assert world.rows("images") == world.rows("embeddings") == []


def test_a_touched_photo_is_not_embedded_again(world: World, session: Session) -> None:
    touched = [
        world.put("alice/a.jpg", photo("alice")),
        world.put("alice/none.jpg", photo("alice", faces=0)),
    ]
    session.gallery.sync()
    analyzed = session.pipeline.analyzed
    for place in touched:
        os.utime(place, (1, 1))
    assert counts(session.gallery.sync()) == (0, 0, 0, 1)
    assert session.pipeline.analyzed == analyzed
    revision = session.database.revision()
    session.gallery.sync()
    assert session.database.revision() == revision


def test_a_vanished_photo_loses_its_reference(world: World, session: Session) -> None:
    world.put("alice/a.jpg", photo("alice"))
    place = world.put("alice/b.jpg", photo("alice", 1))
    world.put("bob/none.jpg", photo("bob", faces=0))
    session.gallery.sync()
    place.unlink()
    (world.images / "bob" / "none.jpg").unlink()
    (world.images / "bob").rmdir()
    report = session.gallery.sync()
    assert counts(report) == (0, 1, 0, 1)
    assert report.skipped == ()
    assert [s.subject for s in session.gallery.subjects()] == ["alice"]
    assert len(world.rows("embeddings")) == 1
    assert world.rows("skipped_files") == []


def test_an_uploaded_photo_may_be_removed_by_hand(world: World, session: Session) -> None:
    session.enroll("alice", photo("alice"), photo("alice", 1))
    (world.images / world.files()[0]).unlink()
    assert counts(session.gallery.sync()) == (0, 1, 0, 1)


def test_a_new_fingerprint_embeds_everything_and_keeps_the_old(world: World) -> None:
    session = world.open()
    world.put("alice/a.jpg", photo("alice"))
    session.gallery.sync()
    crowd = Upload("crowd.jpg", photo("alice", faces=2))
    session.enrollment.enroll("alice", [crowd], FacePolicy.LARGEST)
    new, report = world.restart(DummyPipeline(version="dummy-2", fingerprint="e" * 64))
    assert counts(report) == (0, 0, 2, 0)
    assert new.verify("alice", photo("alice", "probe")).verdict.verified
    assert len(world.rows("embeddings")) == 4
    back, report = world.restart()
    assert counts(report) == (0, 0, 0, 2)
    assert back.pipeline.analyzed == 0


def test_a_reference_that_a_new_bundle_cannot_use_is_kept_aside(world: World) -> None:
    session = world.open()
    session.enrollment.enroll("alice", [Upload("a.jpg", photo("alice"))])

    class Blind(DummyPipeline):
        def analyze(self, data: bytes, policy: FacePolicy) -> object:  # type: ignore[override]
            return super().analyze(data.replace(b":1#", b":0#"), policy)

    blind, report = world.restart(Blind(fingerprint="e" * 64))
    assert list(skips(report).values()) == [ReasonCode.NO_FACE]
    assert blind.gallery.reference_count() == 0
    summary, (image,) = blind.gallery.subject("alice")
    assert (summary.references, image.face, image.quality) == (0, None, None)
    blind, _ = world.restart(Blind(fingerprint="e" * 64))
    assert blind.pipeline.analyzed == 0
    back, _ = world.restart()
    assert back.gallery.reference_count() == 1


def test_the_same_photo_twice_counts_once(world: World, session: Session) -> None:
    session.enroll("alice", photo("alice"))
    world.put("alice/upload.jpg", photo("alice"))
    world.put("alice/x.jpg", photo("alice", 1))
    world.put("alice/y.jpg", photo("alice", 1))
    world.put("bob/x.jpg", photo("alice", 1))
    report = session.gallery.sync()
    duplicates = dict.fromkeys(["alice/upload.jpg", "alice/y.jpg"], ReasonCode.DUPLICATE_IMAGE)
    assert skips(report) == duplicates
    assert counts(report) == (2, 0, 2, 1)
    analyzed = session.pipeline.analyzed
    assert skips(session.gallery.sync()) == duplicates
    assert session.pipeline.analyzed == analyzed
    (world.images / "alice" / "x.jpg").unlink()
    assert counts(session.gallery.sync()) == (1, 1, 1, 2)


def test_folders_of_two_spellings_are_one_subject(world: World, session: Session) -> None:
    world.put("ALICE/a.jpg", photo("alice"))
    world.put("alice/b.jpg", photo("alice", 1))
    session.gallery.sync()
    assert [(s.subject, s.references) for s in session.gallery.subjects()] == [("ALICE", 2)]
    assert session.gallery.delete_subject("alice").removed.references == 2
    assert world.files() == []
    assert not [path for path in world.images.iterdir() if path.is_dir()]


def test_many_photos_are_recorded_in_batches(world: World, session: Session) -> None:
    for i in range(70):
        world.put(f"alice/{i}.jpg", photo("alice", i))
    assert counts(session.gallery.sync()) == (70, 0, 70, 0)
    assert session.gallery.references("alice")[2].shape == (70, 64)


def test_a_lost_database_is_rebuilt_from_the_folder(world: World, session: Session) -> None:
    session.enroll("alice", photo("alice"))
    world.close()
    for file in Path(world.root).glob("facetwin.sqlite*"):
        file.unlink()
    again, report = world.restart()
    assert counts(report) == (1, 0, 1, 0)
    assert again.verify("alice", photo("alice", "probe")).verdict.verified


def test_the_face_policy_holds_for_folder_photos_too(world: World) -> None:
    world.put("duo/a.jpg", photo("alice", faces=2))
    session = world.open()
    single = Gallery(
        session.database,
        world.images,
        session.pipeline,
        session.audit,
        folder_policy=FacePolicy.SINGLE,
    )
    (skipped,) = single.sync().skipped
    assert [reason.code for reason in skipped.reasons] == [ReasonCode.MULTIPLE_FACES]


def test_what_is_passed_over_is_named(world: World, session: Session) -> None:
    world.put("alice/phone.HEIC", b"heic")
    world.put("alice/2024/nested.jpg", photo("alice"))
    world.put("alice/notes.txt", b"text")
    world.put("alice/good.jpg", photo("alice", 1))
    report = session.gallery.sync()
    assert {file.path: file.reasons[0].message.split(".")[0] for file in report.skipped} == {
        "alice/phone.HEIC": "Photos of this kind are not read",
        "alice/2024": "Folders inside a person's folder are not looked into",
    }
    assert session.gallery.references("alice")[0] == "alice"
