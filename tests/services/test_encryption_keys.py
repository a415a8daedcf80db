"""Keys of the encryption at rest: new ones, old ones, wrong ones, none."""

from contextlib import AbstractContextManager

import pytest

from app.domain.errors import StorageError
from app.services.encryption import EncryptionAtRest
from app.storage.sealed_photo import sealing_key
from tests.dummy_pipeline import DummyPipeline, photo
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


def test_a_new_key_replaces_the_old_one(world: World) -> None:
    known = vectors(filled(world, OLD))
    old = {p: sealing_key((world.images / p).read_bytes()) for p in world.files()}
    assert set(old.values()) == {key_id(OLD)}
    session, _ = world.restart(key=BOTH)
    assert vectors(session) == known
    assert settled(session)
    assert keys(world) == {key_id(NEW)}
    assert {sealing_key((world.images / p).read_bytes()) for p in world.files()} == {key_id(NEW)}
    session, _ = world.restart(key=NEW)
    assert vectors(session) == known
    assert session.pipeline.analyzed == 0
    with pytest.raises(StorageError, match=f"not the key of this gallery .*{key_id(NEW)}"):
        world.restart(key=OLD)


def test_rotation_needs_no_synchronisation(world: World) -> None:
    session = filled(world, OLD)
    known = vectors(session)
    world.close()
    other = Session(world.root, DummyPipeline(), key=BOTH)
    found = other.encryption.rotate()
    assert found.photos == {key_id(NEW): 5}
    assert found.embeddings == {key_id(NEW): 3}
    other.audit.close()
    other.database.close()
    session, _ = world.restart(key=NEW)
    assert vectors(session) == known
    assert settled(session)


def test_a_process_with_the_old_key_reads_nothing_and_writes_nothing(world: World) -> None:
    old = filled(world, OLD)
    assert old.verify("alice", photo("alice", "probe")).verdict.verified
    images = old.gallery.subject("alice")[1]
    new = world.open(key=BOTH)
    new.gallery.sync()
    new.encryption.finish()
    # What it has in memory it may use; what comes is refused, in words, and leaves nothing.
    assert old.verify("alice", photo("alice", "probe")).verdict.verified
    before = world.files()
    with pytest.raises(StorageError, match="changed meanwhile"):
        old.enroll("bob", photo("bob"))
    new.enroll("carol", photo("carol"))
    with pytest.raises(StorageError, match=key_id(NEW)):
        old.verify("alice", photo("alice", "probe"))
    with pytest.raises(StorageError, match=key_id(NEW)):
        old.gallery.image_content("alice", images[0].image_id)
    assert len(world.files()) == len(before) + 1
    assert new.verify("alice", photo("alice", "probe")).verdict.verified


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (None, "This gallery is encrypted. Set FACETWIN_ENCRYPTION_KEY"),
        (NEW, r"FACETWIN_ENCRYPTION_KEY is not the key of this gallery \(it needs the key"),
    ],
    ids=["missing", "wrong"],
)
def test_a_missing_or_wrong_key_is_an_error_at_start(
    world: World, key: str | None, message: str
) -> None:
    known = vectors(filled(world, OLD))
    world.close()
    before = on_disk(world)
    with pytest.raises(StorageError, match=f"{message}.*{key_id(OLD)}"):
        world.open(key=key)
    world.close()
    assert on_disk(world) == before
    assert vectors(world.restart(key=OLD)[0]) == known


def test_a_damaged_record_of_the_key_is_an_error_at_start(world: World) -> None:
    filled(world, OLD)
    world.close()
    (row,) = world.rows("encryption_keys")
    check = row[1]
    assert isinstance(check, bytes)
    edit(world, "UPDATE encryption_keys SET check_value = ?", check[:-1] + bytes([check[-1] ^ 1]))
    with pytest.raises(StorageError, match="FACETWIN_ENCRYPTION_KEY can't be checked"):
        world.open(key=OLD)


def test_a_key_that_was_registered_and_never_used_is_not_needed(world: World) -> None:
    filled(world)
    world.close()
    session = Session(world.root, DummyPipeline(), key=OLD)
    session.encryption._register(session.database.cipher)  # type: ignore[arg-type]
    session.audit.close()
    session.database.close()
    session, _ = world.restart(key=NEW)
    assert keys(world) == {key_id(NEW)}
    assert not is_readable(world, *vectors(session))


def refused() -> AbstractContextManager[object]:
    raise StorageError("Another server already serves it.")


def test_beside_a_server_no_new_key_is_registered(world: World) -> None:
    server = filled(world, OLD)
    other = Session(world.root, DummyPipeline(), key=BOTH)
    beside = EncryptionAtRest(other.database, other.files, other.audit, refused)
    with pytest.raises(StorageError, match=r"no server runs.*Another server already serves it"):
        beside.prepare()
    with pytest.raises(StorageError, match=r"no server runs.*Another server already serves it"):
        beside.disable()
    assert keys(world) == {key_id(OLD)}
    assert settled(server)
    # With the server's own key it may do all that is left to do.
    same = Session(world.root, DummyPipeline(), key=OLD)
    assert (
        EncryptionAtRest(same.database, same.files, same.audit, refused)
        .rotate()
        .photos[key_id(OLD)]
        == 5
    )
    for session in (other, same):
        session.audit.close()
        session.database.close()


def test_a_key_that_a_server_may_still_use_is_not_dropped(world: World) -> None:
    filled(world, OLD)
    world.close()
    session = Session(world.root, DummyPipeline(), key=BOTH)
    session.encryption.prepare()
    beside = EncryptionAtRest(session.database, session.files, session.audit, refused)
    assert beside.rotate().photos == {key_id(NEW): 5}
    assert keys(world) == {key_id(OLD), key_id(NEW)}
    session.audit.close()
    session.database.close()
    world.restart(key=NEW)
    assert keys(world) == {key_id(NEW)}


def test_encryption_can_be_turned_off(world: World) -> None:
    known = vectors(filled(world, OLD))
    world.close()
    session = Session(world.root, DummyPipeline(), key=OLD)
    session.encryption.disable()
    session.audit.close()
    session.database.close()
    assert keys(world) == set()
    session, report = world.restart()
    assert (report.unchanged, report.embedded) == (3, 0)
    assert vectors(session) == known
    for path in world.files():
        assert PLAIN in (world.images / path).read_bytes()


def test_turning_off_needs_the_key(world: World) -> None:
    filled(world, OLD)
    world.close()
    for key in (None, NEW):
        session = Session(world.root, DummyPipeline(), key=key)
        with pytest.raises(StorageError, match=key_id(OLD)):
            session.encryption.disable()
        session.audit.close()
        session.database.close()
    assert keys(world) == {key_id(OLD)}


def test_the_status_counts_by_key(world: World) -> None:
    session = filled(world)
    assert session.encryption.survey().photos == {None: 5}
    assert session.encryption.survey().embeddings == {None: 3}
    session, _ = world.restart(key=OLD)
    world.put("alice/half.jpg", b"?half a photo")
    (world.images / world.files()[0]).write_bytes(b"FTWSEAL\n\x01cut")
    found = session.encryption.survey()
    assert found.photos == {None: 1, key_id(OLD): 4}
    assert (found.damaged, found.unseen) == (1, 0)
    assert found.in_use == {key_id(OLD)}
    world.close()
    # It needs no key.
    blind = Session(world.root, DummyPipeline())
    assert blind.encryption.survey() == found
    blind.audit.close()
    blind.database.close()


def test_the_audit_log_tells_of_every_change_of_keys(world: World) -> None:
    filled(world, OLD)
    world.restart(key=f"{NEW},{OLD}")
    world.close()
    last = world.open(key=NEW)
    last.encryption.disable()
    assert last.audit.verify().ok
    key_changes = [
        (e.outcome, e.details["encryption_key"])
        for e in last.audit.tail(100)
        if e.action == "change_encryption"
    ]
    assert key_changes == [
        ("registered", key_id(OLD)),
        ("registered", key_id(NEW)),
        ("dropped", key_id(OLD)),
        ("dropped", key_id(NEW)),
    ]
