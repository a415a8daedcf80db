"""Encryption at rest: nothing is readable on the disk, whatever happens to files and rows."""

import errno
import fcntl
from pathlib import Path

import pytest

from app.domain.audit import COMMAND
from app.domain.entities import ReasonCode
from app.domain.errors import NoReferencesError, StorageError, SubjectNotFoundError
from app.storage.sealed_photo import is_sealed
from tests.dummy_pipeline import STORED, DummyPipeline, photo
from tests.services.sealed import (
    BOTH,
    NEW,
    OLD,
    PLAIN,
    edit,
    filled,
    is_readable,
    key_id,
    keys,
    on_disk,
    settled,
    vectors,
)
from tests.services.world import Session, World


def test_nothing_is_readable_on_the_disk(world: World) -> None:
    session = filled(world, OLD)
    known = vectors(session)
    assert len(known) == 3
    # While it runs, with the log and the shared memory of the database.
    assert any(name.endswith("-wal") for name in on_disk(world))
    assert not is_readable(world, *known)
    assert len(world.files()) == 5
    assert settled(session)
    world.close()
    assert not is_readable(world, *known)
    again, _ = world.restart(key=OLD)
    assert vectors(again) == known
    assert again.pipeline.analyzed == 0


def test_without_a_key_everything_is_readable(world: World) -> None:
    # So the test above looks for the right bytes.
    session = filled(world)
    contents = on_disk(world).values()
    for secret in (PLAIN, *vectors(session)):
        assert any(secret in content for content in contents)


def test_a_key_encrypts_what_was_plain(world: World) -> None:
    known = vectors(filled(world))
    session, report = world.restart(key=OLD)
    assert (report.unchanged, report.embedded) == (3, 0)
    assert not is_readable(world, *known)
    assert vectors(session) == known
    assert settled(session)
    assert keys(world) == {key_id(OLD)}
    world.close()
    assert not is_readable(world, *known)


def test_photos_are_read_as_they_were(world: World) -> None:
    session = filled(world, OLD)
    _, images = session.gallery.subject("alice")
    contents = {session.gallery.image_content("alice", i.image_id)[1] for i in images}
    assert contents == {STORED + photo("alice"), STORED + photo("alice", 1), photo("alice", 2)}
    for path in world.files():
        assert is_sealed((world.images / path).read_bytes())
    archive = b"".join(session.gallery.export("alice", COMMAND).chunks)
    assert photo("alice", 2) in archive
    assert photo("alice", faces=0) in archive


def test_hashes_are_those_of_the_photos(world: World, tmp_path: Path) -> None:
    def hashes(key: str | None) -> set[tuple[object, object]]:
        (tmp_path / str(key)).mkdir()
        inner = World(tmp_path / str(key))
        filled(inner, key)
        found = {(row[3], row[4]) for row in inner.rows("images")}
        inner.close()
        return found

    assert hashes(OLD) == hashes(None)


def test_scores_do_not_change(world: World) -> None:
    probe = photo("alice", "probe")

    def scores(session: Session) -> list[float]:
        result = session.verify("alice", probe)
        assert result.verdict.verified
        return [result.verdict.score, *map(float, result.verdict.reference_scores)]

    plain = scores(filled(world))
    assert len(plain) == 4
    assert scores(world.restart(key=OLD)[0]) == plain
    assert scores(world.restart(key=BOTH)[0]) == plain


def test_people_come_and_go(world: World) -> None:
    session = filled(world, OLD)
    session.enroll("bob", photo("bob"))
    assert session.verify("bob", photo("bob", "probe")).verdict.verified
    assert session.gallery.delete_subject("alice").removed.references == 3
    assert len(world.files()) == 1
    image_id = session.gallery.references("bob")[1][0].image_id
    session.gallery.delete_image("bob", image_id)
    assert world.files() == []
    assert world.rows("embeddings") == []


def test_a_damaged_photo_keeps_its_reference(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    session = filled(world, OLD)
    place = world.images / "alice" / "folder.jpg"
    data = place.read_bytes()
    place.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    for current in (session, world.restart(key=OLD)[0]):
        report = current.gallery.sync()
        reasons = {file.path: file.reasons[0] for file in report.skipped}
        assert reasons["alice/folder.jpg"].code is ReasonCode.INVALID_IMAGE
        assert "damaged or altered" in reasons["alice/folder.jpg"].message
        assert report.removed == 0
        assert current.verify("alice", photo("alice", "probe")).verdict.votes.references == 3
    warnings = [r.getMessage() for r in caplog.records if r.name == "facetwin.encryption"]
    assert [w for w in warnings if "can't be decrypted" in w]
    assert "alice" not in "".join(warnings)
    place.write_bytes(data)
    assert [f.path for f in session.gallery.sync().skipped] == [
        "alice/nobody.jpg",
        "alice/twin.jpg",
    ]


def test_a_photo_under_a_foreign_key_is_skipped(world: World, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other")
    filled(other, NEW)
    foreign = (other.images / "alice" / "folder.jpg").read_bytes()
    other.close()
    session = filled(world, OLD)
    world.put("alice/foreign.jpg", foreign)
    report = session.gallery.sync()
    (reason,) = [f.reasons[0] for f in report.skipped if f.path == "alice/foreign.jpg"]
    assert key_id(NEW) in reason.message
    # It hinders no start, and is left as it is.
    world.restart(key=OLD)
    assert (world.images / "alice" / "foreign.jpg").read_bytes() == foreign


def test_an_encrypted_photo_may_be_copied_and_a_plain_one_put_over_it(world: World) -> None:
    session = filled(world, OLD)
    data = (world.images / "alice" / "folder.jpg").read_bytes()
    world.put("bob/copied.jpg", data)
    world.put("alice/folder.jpg", photo("alice", "newer"))
    report = session.gallery.sync()
    assert report.added >= 1
    assert session.verify("bob", photo("alice", "probe")).verdict.verified
    _, images = session.gallery.subject("alice")
    contents = {session.gallery.image_content("alice", i.image_id)[1] for i in images}
    assert photo("alice", "newer") in contents
    assert not is_readable(world)


def test_files_that_can_not_be_understood_are_left_alone(world: World) -> None:
    session = filled(world, OLD)
    # A copy that is under way looks like this: its writer must find its file again.
    place = world.put("alice/half.jpg", b"?half a photo")
    session.gallery.sync()
    world.restart(key=OLD)
    assert place.read_bytes() == b"?half a photo"
    place.write_bytes(photo("alice", "whole"))
    world.restart(key=OLD)
    assert not is_readable(world)


def test_a_photo_that_can_not_be_written_stays_in_use(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    session = world.open(key=OLD)
    world.put("alice/a.jpg", photo("alice"))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("app.storage.photo_rewriter.write_durably", refuse)
        patch.setattr("app.services.gallery_sync.RETRY_SECONDS", 0.0)
        for _ in range(4):
            session.gallery.look(lambda: False)
        assert session.verify("alice", photo("alice", "probe")).verdict.verified
        assert session.encryption.survey().has_plain
    assert sum("can't be rewritten" in r.getMessage() for r in caplog.records) == 1
    # Nothing changes in the folder: time is what brings the next attempt.
    session.gallery.look(lambda: False)
    assert not session.encryption.survey().has_plain
    assert not is_readable(world)


def test_a_photo_that_is_still_open_is_not_replaced(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that stalls where the file can be decoded already."""
    monkeypatch.setattr("app.services.gallery_sync.RETRY_SECONDS", 0.0)
    session = world.open(key=OLD)
    place = world.put("alice/a.jpg", b"")
    with place.open("wb", buffering=0) as copy:
        copy.write(photo("alice"))
        session.gallery.look(lambda: False)
        assert session.gallery.reference_count() == 1
        assert place.read_bytes() == photo("alice")
        session.gallery.look(lambda: False)
        copy.write(b"the rest")
    session.gallery.look(lambda: False)
    assert session.files.content("alice/a.jpg") == photo("alice") + b"the rest"
    session.gallery.look(lambda: False)
    assert not is_readable(world)
    assert session.files.content("alice/a.jpg") == photo("alice") + b"the rest"


def test_where_nobody_tells_what_is_open_a_photo_must_be_idle(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = fcntl.fcntl

    def unsupported(descriptor: int, command: int, *arguments: int) -> int:
        if command == fcntl.F_SETLEASE:
            raise OSError(errno.EINVAL, "Invalid argument")
        return control(descriptor, command, *arguments)

    monkeypatch.setattr(fcntl, "fcntl", unsupported)
    monkeypatch.setattr("app.services.gallery_sync.RETRY_SECONDS", 0.0)
    session = world.open(key=OLD)
    world.put("alice/a.jpg", photo("alice"))
    session.gallery.look(lambda: False)
    assert is_readable(world)
    monkeypatch.setattr("app.storage.leases.IDLE_SECONDS", 0.0)
    session.gallery.look(lambda: False)
    assert not is_readable(world)


def test_an_embedding_that_was_changed_is_left_out_and_computed_anew(world: World) -> None:
    known = vectors(filled(world, OLD))
    world.close()
    edit(world, "UPDATE embeddings SET vector = zeroblob(300) WHERE rowid = 1")
    broken = Session(world.root, DummyPipeline(), key=OLD)
    assert broken.verify("alice", photo("alice", "probe")).verdict.votes.references == 2
    # The person can be listed, and deleted, all the same.
    assert len(broken.gallery.subject("alice")[1]) == 3
    broken.audit.close()
    broken.database.close()
    session, report = world.restart(key=OLD)
    assert report.embedded == 1
    assert vectors(session) == known


@pytest.mark.parametrize("key", [OLD, None], ids=["sealed", "plain"])
def test_a_running_service_mends_a_damaged_embedding(
    world: World, key: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    session = filled(world, key)
    session.enroll("bob", photo("bob"))
    known = vectors(session)
    session.gallery.look(lambda: False)
    edit(world, "UPDATE embeddings SET vector = zeroblob(299) WHERE rowid = 1")
    edit(world, "UPDATE gallery_state SET revision = revision + 1")
    edit(world, "UPDATE subjects SET revision = (SELECT revision FROM gallery_state)")
    for _ in range(2):
        # One damaged row is no reason to refuse anybody.
        assert session.verify("bob", photo("bob", "probe")).verdict.verified
        assert session.verify("alice", photo("alice", "probe")).verdict.votes.references == 2
    assert [p.code for p in session.gallery.health().degraded] == ["embeddings_damaged"]
    assert [r.levelname for r in caplog.records if "left out" in r.getMessage()] == ["ERROR"]
    session.gallery.look(lambda: False)
    assert session.gallery.health().degraded == ()
    assert vectors(session) == known


def test_damage_is_mended_by_the_look_that_follows_a_change(world: World) -> None:
    session = filled(world, OLD)
    known = vectors(session)
    session.gallery.look(lambda: False)
    session.gallery.look(lambda: False)
    edit(world, "UPDATE embeddings SET vector = zeroblob(300) WHERE rowid = 1")
    edit(world, "UPDATE gallery_state SET revision = revision + 1")
    edit(world, "UPDATE subjects SET revision = (SELECT revision FROM gallery_state)")
    session.gallery.look(lambda: False)
    assert session.gallery.health().degraded == ()
    assert vectors(session) == known


def test_a_key_that_was_changed_meanwhile_is_no_damage(world: World) -> None:
    session = filled(world, OLD)
    session.gallery.look(lambda: False)
    edit(world, "UPDATE embeddings SET key_id = 'another'")
    edit(world, "UPDATE gallery_state SET revision = revision + 1")
    edit(world, "UPDATE subjects SET revision = (SELECT revision FROM gallery_state)")
    with pytest.raises(StorageError, match="another"):
        session.gallery.look(lambda: False)
    assert [p.code for p in session.gallery.health().degraded] == ["sync_failed"]
    assert len(world.rows("embeddings")) == 3


def test_embeddings_can_not_change_places(world: World) -> None:
    session = world.open(key=OLD)
    session.enroll("alice", photo("alice"))
    session.enroll("mallory", photo("mallory"))
    world.close()
    image_of = "(SELECT image_id FROM images JOIN subjects ON id = subject_id WHERE name = '{}')"
    mine, hers = image_of.format("alice"), image_of.format("mallory")
    edit(
        world,
        f"UPDATE embeddings SET vector = (SELECT vector FROM embeddings WHERE image_id = {hers}) "
        f"WHERE image_id = {mine}",
    )
    swapped = Session(world.root, DummyPipeline(), key=OLD)
    with pytest.raises(NoReferencesError):
        swapped.verify("alice", photo("mallory", "probe"))
    swapped.audit.close()
    swapped.database.close()
    session, _ = world.restart(key=OLD)
    assert not session.verify("alice", photo("mallory", "probe")).verdict.verified
    assert session.verify("alice", photo("alice", "probe")).verdict.verified


def test_a_lost_database_is_rebuilt_from_encrypted_photos(world: World) -> None:
    filled(world, OLD)
    world.close()
    for file in world.root.glob("facetwin.sqlite*"):
        file.unlink()
    before = {p: d for p, d in on_disk(world).items() if p.endswith(".jpg")}
    session, report = world.restart(key=NEW)
    assert (report.added, len(report.skipped)) == (0, 5)
    assert {p: d for p, d in on_disk(world).items() if p.endswith(".jpg")} == before
    session, report = world.restart(key=f"{NEW},{OLD}")
    assert report.added == 3
    assert session.verify("alice", photo("alice", "probe")).verdict.verified
    with pytest.raises(SubjectNotFoundError):
        session.gallery.subject("bob")
