"""What must hold in a gallery that is opened after its process was killed."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from app.services.gallery import SyncReport
from app.storage.layout import MARKER
from tests.dummy_pipeline import DummyPipeline
from tests.services.kill_changes import State
from tests.services.world import Session

Row = tuple[Any, ...]


def open_session(root: Path, fingerprint: str, key: str | None = None) -> Session:
    """The gallery as a new process has it; the folder is marked by the synchronisation alone."""
    return Session(root, DummyPipeline(fingerprint=fingerprint), claim=False, key=key)


def synchronise(session: Session) -> SyncReport:
    """What the start of the service does; with a key it encrypts what is not under it yet."""
    if session.database.cipher is not None:
        session.encryption.rotate()
    return session.gallery.sync()


@contextmanager
def opened(root: Path, fingerprint: str, key: str | None = None) -> Iterator[Session]:
    """A session that is closed at the end."""
    session = open_session(root, fingerprint, key)
    try:
        yield session
    finally:
        session.audit.close()
        session.database.close()


def image_ids(root: Path) -> set[str]:
    """Of all references, as they are in the database."""
    return {row[0] for row in rows(root, "SELECT image_id FROM images")}


def problems_of(
    root: Path,
    allowed: Sequence[State],
    fingerprint: str,
    old: set[str],
    key: str | None = None,
) -> list[str]:
    """Open the gallery, let it repair itself, and name all that is wrong then.

    Args:
        root: Where it lies.
        allowed: One of these states must hold.
        fingerprint: Of the bundle in use.
        old: Image ids before the change; of those that are gone now nothing may be left.
        key: What the disk is encrypted with.
    """
    with opened(root, fingerprint, key) as session:
        report = synchronise(session)
        found = state_of(root)
        problems = [] if found in allowed else [f"a state that can't be: {_names(found)}"]
        problems += _files(root, report)
        problems += _rows(root, fingerprint)
        problems += _traces(root, old - image_ids(root))
        if session.database.cipher is not None:
            problems += _readable(root, session.database.cipher.key_id)
        if session.gallery.reference_count() != sum(map(len, found.values())):
            problems.append("memory and database differ")
        chain = session.audit.verify()
        if not chain.ok:
            problems.append(f"audit log: {chain.problem}")
    return problems


def state_of(root: Path) -> State:
    """What the database holds."""
    state = {row[0]: set[str]() for row in rows(root, "SELECT name FROM subjects")}
    query = "SELECT name, source_sha256 FROM images JOIN subjects ON subjects.id = subject_id"
    for name, digest in rows(root, query):
        state[name].add(digest)
    return {name: frozenset(photos) for name, photos in state.items()}


def _files(root: Path, report: SyncReport) -> Iterator[str]:
    images = root / "verification_images"
    lying = {p.relative_to(images).as_posix() for p in images.rglob("*") if not p.is_dir()}
    if MARKER not in lying:
        yield "the folder is not marked"
    lying.discard(MARKER)
    known = {row[0] for row in rows(root, "SELECT path FROM images")}
    for path in sorted(known - lying):
        yield f"a row without its file: {path}"
    for path in sorted(lying - known - {file.path for file in report.skipped}):
        # What nobody took for a photo stays where its subject stays.
        if not path.endswith(".txt") or not _subject_of(root, path):
            yield f"a file that nothing finds: {path}"


def _subject_of(root: Path, path: str) -> bool:
    name = path.partition("/")[0]
    return bool(rows(root, f"SELECT 1 FROM subjects WHERE name = '{name}'"))


def _rows(root: Path, fingerprint: str) -> Iterator[str]:
    unembedded = rows(
        root,
        "SELECT image_id FROM images WHERE image_id NOT IN "
        f"(SELECT image_id FROM embeddings WHERE fingerprint = '{fingerprint}')",
    )
    if unembedded:
        yield f"{len(unembedded)} images without an embedding"
    if rows(root, "SELECT 1 FROM embeddings WHERE image_id NOT IN (SELECT image_id FROM images)"):
        yield "an embedding without its image"
    if rows(root, "SELECT 1 FROM pending_removals"):
        yield "a removal that is not finished"
    if rows(root, "PRAGMA integrity_check") != [("ok",)]:
        yield "the database is damaged"
    if rows(root, "PRAGMA foreign_key_check"):
        yield "a row refers to one that is gone"


def _traces(root: Path, gone: set[str]) -> Iterator[str]:
    for file in root.glob("facetwin.sqlite*"):
        content = file.read_bytes()
        if any(image_id.encode() in content for image_id in gone):
            yield f"bytes of a deleted row in {file.name}"


def _readable(root: Path, key_id: str) -> Iterator[str]:
    """What another key, or none, would open."""
    if any(b"face:" in path.read_bytes() for path in root.rglob("*") if path.is_file()):
        yield "a readable photo on the disk"
    if {row[0] for row in rows(root, "SELECT key_id FROM embeddings")} - {key_id}:
        yield "an embedding that is not under the key in use"
    if rows(root, "SELECT key_id FROM encryption_keys") != [(key_id,)]:
        yield "a key that nothing needs"


def rows(root: Path, query: str) -> list[Row]:
    """What another program reads in the database."""
    with closing(sqlite3.connect(root / "facetwin.sqlite")) as connection:
        found: list[Row] = connection.execute(query).fetchall()
        return found


def _names(state: State) -> str:
    return ", ".join(f"{name}: {len(photos)}" for name, photos in sorted(state.items()))
