"""The power fails at each step of turning encryption on, to another key, and off."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.engine import RootTransaction

from app.storage.cipher import read_cipher
from app.storage.sealed_photo import unseal
from tests.dummy_pipeline import STORED, DummyPipeline, photo
from tests.services.sealed import (
    BOTH,
    NEW,
    OLD,
    is_readable,
    key_id,
    keys,
    vectors,
)
from tests.services.test_crashes import Fault, PowerCut
from tests.services.world import Session, World

STEPS = ((os, "fsync"), (os, "replace"), (os, "unlink"), (RootTransaction, "commit"))


def crash_test(world: World, key: str | None) -> Session:
    """An upload, a folder photo and an unusable one: fewer steps at which to fail."""
    session = world.open(key=key)
    session.enroll("alice", photo("alice"))
    world.put("alice/folder.jpg", photo("alice", 2))
    world.put("alice/nobody.jpg", photo("alice", faces=0))
    session.gallery.sync()
    return session


def whole(world: World) -> bool:
    """Whether every photo is on the disk, plain or encrypted, and no other copy of one."""
    cipher = read_cipher(BOTH)
    found = {}
    for path in world.files():
        name = path.rpartition("/")[2]
        if not name.startswith(".sealing-"):
            found[path] = unseal(cipher, (world.images / path).read_bytes())
    contents = sorted(found.values())
    photos = [STORED + photo("alice"), photo("alice", 2), photo("alice", faces=0)]
    return contents == sorted(photos)


def turn_off(world: World) -> None:
    session = Session(world.root, DummyPipeline(), key=OLD)
    world._open.append(session)
    session.encryption.disable()


CHANGES: dict[str, tuple[str | None, Callable[[World], object], str | None]] = {
    "turn on": (None, lambda world: world.restart(key=OLD), OLD),
    "rotate": (OLD, lambda world: world.restart(key=BOTH), NEW),
    "turn off": (OLD, turn_off, None),
}


@pytest.mark.filterwarnings("ignore:transaction already deassociated")
@pytest.mark.parametrize("name", CHANGES)
def test_a_power_cut_at_any_step_loses_nothing(tmp_path: Path, name: str) -> None:
    before, change, after = CHANGES[name]
    cuts = 0
    for at in range(1000):
        (tmp_path / str(at)).mkdir()
        world = World(tmp_path / str(at))
        known = vectors(crash_test(world, before))
        world.close()
        try:
            with Fault(at, PowerCut()).armed(STEPS):
                change(world)
        except PowerCut:
            cuts += 1
            assert whole(world)
            world.close()
            change(world)
        assert whole(world)
        assert len(world.files()) == 3
        if after is not None:
            assert keys(world) == {key_id(after)}
            assert not is_readable(world, *known)
        world.close()
        session, _ = world.restart(key=after)
        assert keys(world) == ({key_id(after)} if after else set())
        assert vectors(session) == known
        assert session.pipeline.analyzed == 0
        world.close()
        if cuts <= at:
            break
    # Each photo is written, renamed and made durable.
    assert cuts >= 3 * 3 * 2


@pytest.mark.filterwarnings("ignore:transaction already deassociated")
def test_a_folder_photo_survives_a_power_cut_at_any_step(tmp_path: Path) -> None:
    cuts = 0
    for at in range(1000):
        (tmp_path / str(at)).mkdir()
        world = World(tmp_path / str(at))
        session = world.open(key=OLD)
        place = world.put("alice/a.jpg", photo("alice"))
        try:
            with Fault(at, PowerCut()).armed(STEPS):
                session.gallery.sync()
        except PowerCut:
            cuts += 1
            assert unseal(read_cipher(OLD), place.read_bytes()) == photo("alice")
            session, _ = world.restart(key=OLD)
        assert world.files() == ["alice/a.jpg"]
        assert session.verify("alice", photo("alice", "probe")).verdict.verified
        assert not is_readable(world, *vectors(session))
        world.close()
        if cuts <= at:
            break
    assert cuts >= 8
