"""Encrypted galleries for tests, and what lies on their disks."""

import sqlite3
from contextlib import closing

from app.storage.cipher import new_key, read_cipher
from tests.dummy_pipeline import photo
from tests.services.world import Session, World

OLD, NEW = new_key(), new_key()
BOTH = f"{NEW},{OLD}"
PLAIN = b"face:"
"""Every photo of the dummy pipeline begins with it, and nothing else on the disk holds it."""


def key_id(key: str) -> str:
    cipher = read_cipher(key)
    assert cipher is not None
    return cipher.key_id


def on_disk(world: World) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in world.root.rglob("*") if p.is_file()}


def is_readable(world: World, *secrets: bytes) -> bool:
    """Whether any of these bytes, or the start of any photo, lies on the disk."""
    contents = on_disk(world).values()
    return any(secret in content for content in contents for secret in (PLAIN, *secrets))


def vectors(session: Session, subject: str = "alice") -> list[bytes]:
    """The start of each embedding, as it would be stored plain."""
    return [row[:8].tobytes() for row in session.gallery.references(subject)[2]]


def filled(world: World, key: str | None = None) -> Session:
    """Alice with two uploads and a folder photo, a duplicate and an unusable photo."""
    session = world.open(key=key)
    session.enroll("alice", photo("alice"), photo("alice", 1))
    world.put("alice/folder.jpg", photo("alice", 2))
    world.put("alice/twin.jpg", photo("alice", 2))
    world.put("alice/nobody.jpg", photo("alice", faces=0))
    session.gallery.sync()
    return session


def keys(world: World) -> set[object]:
    return {row[0] for row in world.rows("encryption_keys")}


def edit(world: World, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(world.root / "facetwin.sqlite")) as connection:
        connection.execute(statement, values)
        connection.commit()


def settled(session: Session) -> bool:
    """Whether a look at the folder finds nothing to do: the rows know the rewritten files."""
    before = session.pipeline.analyzed
    report = session.gallery.sync()
    return (report.unchanged, report.embedded, report.added, report.removed) == (3, 0, 0, 0) and (
        session.pipeline.analyzed == before
    )
