import hashlib

import pytest

from app.domain.errors import ImageNotFoundError, StorageError, SubjectNotFoundError
from app.storage.database import Database
from tests.dummy_pipeline import photo
from tests.services.world import Session, World


def test_a_subject_and_its_images(world: World, session: Session) -> None:
    result = session.enroll("Alice", photo("alice"), photo("alice", 1))
    summary, images = session.gallery.subject("alice")
    assert (summary.subject, summary.references) == ("Alice", 2)
    assert summary.created_at.endswith("+00:00")
    assert {i.image_id for i in images} == {e.image_id for e in result.enrolled}
    for image in images:
        assert image == session.gallery.image("ALICE", image.image_id)
        filename, data = session.gallery.image_content("alice", image.image_id)
        assert filename == image.filename
        assert hashlib.sha256(data).hexdigest() == image.sha256
        assert (image.source, image.filename) == ("upload", f"{image.image_id}.jpg")
        assert image.face is not None
        assert image.quality is not None


def test_what_does_not_exist_is_not_found(world: World, session: Session) -> None:
    session.enroll("alice", photo("alice"))
    for call in (session.gallery.subject, session.gallery.delete_subject):
        with pytest.raises(SubjectNotFoundError):
            call("bob")
    for method in (
        session.gallery.image,
        session.gallery.image_content,
        session.gallery.delete_image,
    ):
        with pytest.raises(ImageNotFoundError):
            method("alice", "0" * 32)
        with pytest.raises(SubjectNotFoundError):
            method("bob", "0" * 32)
    _, (image,) = session.gallery.subject("alice")
    (world.images / "alice" / image.filename).unlink()
    with pytest.raises(ImageNotFoundError):
        session.gallery.image_content("alice", image.image_id)


def test_an_image_of_another_subject_is_not_found(session: Session) -> None:
    (other,) = session.enroll("bob", photo("bob")).enrolled
    session.enroll("alice", photo("alice"))
    with pytest.raises(ImageNotFoundError):
        session.gallery.delete_image("alice", other.image_id)
    assert session.gallery.reference_count() == 2


def test_deleting_a_subject_leaves_nothing_of_it(world: World, session: Session) -> None:
    world.put("alice/mine.jpg", photo("alice"))
    world.put("alice/blurred.jpg", photo("alice", quality=0.1))
    session.gallery.sync()
    session.enroll("alice", photo("alice", 1))
    session.enroll("bob", photo("bob"))
    assert session.gallery.delete_subject("ALICE").removed.references == 2
    assert [s.subject for s in session.gallery.subjects()] == ["bob"]
    assert not (world.images / "alice").exists()
    assert len(world.rows("embeddings")) == len(world.rows("images")) == 1
    assert world.rows("skipped_files") == world.rows("pending_removals") == []
    with pytest.raises(SubjectNotFoundError):
        session.verify("alice", photo("alice"))
    for file in world.root.glob("facetwin.sqlite*"):
        assert b"alice" not in file.read_bytes()


def test_nothing_of_a_persons_folder_stays(world: World, session: Session) -> None:
    elsewhere = world.root / "elsewhere.jpg"
    elsewhere.write_bytes(photo("alice", 9))
    for path in ("alice/notes.txt", "alice/old/a.jpg", "alice/.hidden", "alice/a.gif"):
        world.put(path, b"anything")
    (world.images / "alice" / "link.jpg").symlink_to(elsewhere)
    (world.images / "alice" / "linked").symlink_to(world.root)
    world.put("bob/b.jpg", photo("bob"))
    session.enroll("alice", photo("alice"))
    session.gallery.sync()
    session.gallery.delete_subject("alice")
    assert not (world.images / "alice").exists()
    assert elsewhere.exists()
    assert world.files() == ["bob/b.jpg"]
    assert [s.subject for s in session.gallery.subjects()] == ["bob"]


def test_deleting_the_default_subject(world: World, session: Session) -> None:
    world.put("mine.jpg", photo("owner"))
    world.put("alice/a.jpg", photo("alice"))
    session.gallery.sync()
    assert session.gallery.delete_subject("default").removed.references == 1
    assert world.files() == ["alice/a.jpg"]


def test_deleting_one_image(world: World, session: Session) -> None:
    first, second = session.enroll("alice", photo("alice"), photo("alice", 1)).enrolled
    session.gallery.delete_image("Alice", first.image_id)
    assert world.files() == [f"alice/{second.image_id}.jpg"]
    assert [r.image_id for r in session.gallery.references("alice")[1]] == [second.image_id]
    session.gallery.delete_image("alice", second.image_id)
    assert session.gallery.subject("alice")[0].references == 0
    assert world.rows("embeddings") == []
    assert session.enroll("alice", photo("alice")).references == 1


def test_two_processes_see_each_other(world: World) -> None:
    server, cli = world.open(), world.open()
    assert server.gallery.reference_count() == 0
    (enrolled,) = cli.enroll("alice", photo("alice")).enrolled
    assert server.verify("alice", photo("alice", "probe")).verdict.verified
    server.enroll("bob", photo("bob"))
    assert [s.subject for s in cli.gallery.subjects()] == ["alice", "bob"]
    cli.gallery.delete_image("alice", enrolled.image_id)
    server.gallery.delete_subject("bob")
    assert server.gallery.reference_count() == cli.gallery.reference_count() == 0


def test_requests_read_no_embeddings_while_nothing_changes(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.enroll("alice", photo("alice"))
    session.enroll("bob", photo("bob"))
    _, before, _ = session.gallery.references("alice")
    session.enroll("bob", photo("bob", 1))
    # Only the subject that changed was read again.
    assert session.gallery.references("alice")[1] is before
    monkeypatch.delattr(Database, "read")
    assert session.verify("alice", photo("alice", "probe")).verdict.verified


def test_a_recreated_subject_is_not_mixed_up_with_the_old(session: Session) -> None:
    session.enroll("alice", photo("alice"))
    assert session.verify("alice", photo("alice", "probe")).verdict.verified
    session.gallery.delete_subject("alice")
    session.enroll("Alice", photo("eve"))
    result = session.verify("alice", photo("alice", "probe"))
    assert (result.subject, result.verdict.verified) == ("Alice", False)


def test_a_linked_subject_folder_is_refused(world: World, session: Session) -> None:
    outside = world.root / "outside"
    outside.mkdir()
    (world.images / "alice").symlink_to(outside)
    with pytest.raises(StorageError, match="symbolic link"):
        session.enroll("alice", photo("alice"))
    assert list(outside.iterdir()) == []
    assert session.gallery.subjects() == []
