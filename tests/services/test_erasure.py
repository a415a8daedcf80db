"""Erasure and export: nothing of a person stays behind, and everything of them can be had."""

import io
import json
import os
import sqlite3
from contextlib import closing
from dataclasses import asdict, replace
from functools import partialmethod
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from app.domain.audit import COMMAND
from app.domain.errors import StorageError, SubjectNotFoundError
from app.domain.receipts import Removed, receipt_is_genuine
from app.domain.signing import ServiceKey
from app.services.housekeeping import Housekeeping
from app.storage.database import Database
from app.storage.json_values import vector_to_bytes
from tests.dummy_pipeline import DummyPipeline, photo
from tests.services.world import SERVICE_KEY, Session, World

NAME = "Planted-Name-7f3a"


def planted(session: Session, name: str = NAME) -> list[bytes]:
    """What must not be found after the person is erased."""
    traces = [name.encode(), name.casefold().encode()]
    _, references, matrix = session.gallery.references(name)
    _, images = session.gallery.subject(name)
    for reference, row, image in zip(references, matrix, images, strict=True):
        vector = vector_to_bytes(row)
        traces += [vector, vector[:64], vector[-64:]]
        traces += [reference.image_id.encode(), image.sha256.encode()]
    return traces


def holding(root: Path, traces: list[bytes]) -> dict[bytes, str]:
    """Traces that are left in a file under `root`, or in a file's name, and where."""
    found = {}
    for path in root.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for trace in traces:
            if trace in content or trace in str(path.relative_to(root)).encode():
                found[trace] = str(path)
    return found


def fill(world: World, session: Session) -> list[bytes]:
    """Enroll a person among others, by upload and by folder, under two fingerprints."""
    for i in range(5):
        session.enroll(f"other{i}", photo(f"other{i}"), photo(f"other{i}", 1))
    session.enroll(NAME, *(photo("planted", f"secret pixels {i}") for i in range(8)))
    world.put(f"{NAME}/by-hand.jpg", photo("planted", "secret pixels by hand"))
    world.put(f"{NAME}/not-a-face.jpg", photo("planted", "secret pixels no face", faces=0))
    world.put(f"{NAME}/notes.txt", b"secret pixels in a note")
    session.gallery.sync()
    session.verify(NAME, photo("planted", "probe"))
    session.audit.flush()
    return [*planted(session), b"secret pixels"]


def test_nothing_of_an_erased_person_is_left_in_any_file(world: World, session: Session) -> None:
    traces = fill(world, session)
    # The test can fail: before, everything is there, in the log and in the database alike.
    assert set(holding(world.root, traces)) == set(traces)

    receipt = session.gallery.delete_subject(NAME)

    assert receipt.log_emptied
    assert holding(world.root, traces) == {}
    assert (world.root / "facetwin.sqlite-wal").stat().st_size == 0
    assert session.gallery.reference_count() == 10
    # And not after the service was stopped and started either.
    session, _ = world.restart()
    assert holding(world.root, traces) == {}


def test_nothing_is_left_under_an_older_fingerprint(world: World, session: Session) -> None:
    traces = fill(world, session)
    again, _ = world.restart(DummyPipeline(fingerprint="e" * 64))
    traces += planted(again)
    receipt = again.gallery.delete_subject(NAME)
    assert receipt.removed.references == 9
    assert receipt.removed.embeddings == 18
    assert holding(world.root, traces) == {}


def test_nothing_is_left_of_a_single_erased_reference(world: World, session: Session) -> None:
    session.enroll("anna", photo("anna", "secret one"), photo("anna", "kept"))
    _, images = session.gallery.subject("anna")
    image = next(i for i in images if b"secret one" in content(session, "anna", i.image_id))
    _, references, _ = session.gallery.references("anna")
    vector = next(r.embedding for r in references if r.image_id == image.image_id)
    traces = [b"secret one", image.image_id.encode(), image.sha256.encode()]
    traces.append(vector_to_bytes(vector))
    assert holding(world.root, traces)
    session.gallery.delete_image("anna", image.image_id)
    assert holding(world.root, traces) == {}


def content(session: Session, name: str, image_id: str) -> bytes:
    return session.gallery.image_content(name, image_id)[1]


def test_a_reader_of_an_older_state_delays_the_emptying_and_the_receipt_says_so(
    world: World, session: Session
) -> None:
    traces = fill(world, session)
    with closing(sqlite3.connect(world.root / "facetwin.sqlite")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM subjects").fetchone()
        with pytest.MonkeyPatch.context() as patch:
            impatient = partialmethod(Database.erase_traces, patience=0.05)
            patch.setattr(Database, "erase_traces", impatient)
            receipt = session.gallery.delete_subject(NAME)
        assert not receipt.log_emptied
    assert session.database.log_bytes > 0
    # Whoever keeps house meets the log later, also in another process.
    Housekeeping(session.database, session.audit, 0).tidy()
    assert session.database.log_bytes == 0
    assert holding(world.root, traces) == {}


def test_a_receipt_is_genuine_until_it_is_changed(session: Session) -> None:
    session.enroll("Anna", photo("anna"), photo("anna", 1))
    receipt = session.gallery.delete_subject("anna")
    document: dict[str, Any] = json.loads(json.dumps(asdict(receipt)))

    assert (receipt.subject, receipt.removed.references) == ("Anna", 2)
    assert receipt_is_genuine(document, SERVICE_KEY)
    assert not receipt_is_genuine(document, ServiceKey(b"x" * 32))
    for field in document:
        changed = {**document, field: "x"}
        assert not receipt_is_genuine(changed, SERVICE_KEY), field
    assert not receipt_is_genuine({**document, "more": 1}, SERVICE_KEY)
    assert not receipt_is_genuine({}, SERVICE_KEY)
    assert not receipt_is_genuine({**document, "audit_seq": float("nan")}, SERVICE_KEY)
    assert not receipt_is_genuine({**document, "subject": "\ud800"}, SERVICE_KEY)
    assert not receipt_is_genuine({**document, "signature": "\ud800"}, SERVICE_KEY)
    assert replace(receipt, signature="").signed(SERVICE_KEY) == receipt.signature


def test_a_receipt_names_its_entry_in_the_audit_log(session: Session) -> None:
    session.enroll("anna", photo("anna"))
    receipt = session.gallery.delete_subject("anna")
    assert session.audit.verify(contains=receipt.audit_hash).ok
    (entry,) = (e for e in session.audit.tail(10) if e.seq == receipt.audit_seq)
    assert (entry.action, entry.subject) == ("delete_subject", receipt.pseudonym)


def test_a_lost_receipt_is_made_again(session: Session) -> None:
    session.enroll("Anna", photo("anna"), photo("anna", 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "erase_traces", _refuse)
        with pytest.raises(StorageError):
            session.gallery.delete_subject("Anna")
    first = session.gallery.delete_subject("Anna")
    assert first.removed == Removed(references=2, embeddings=2, files=2)
    assert receipt_is_genuine(asdict(first), SERVICE_KEY)
    assert session.gallery.delete_subject("Anna") == first
    # The one that counts is the last one.
    session.enroll("anna", photo("anna", 2))
    again = session.gallery.delete_subject("anna")
    assert again.removed.references == 1
    assert again.receipt_id != first.receipt_id
    assert session.gallery.delete_subject("anna") == again
    with pytest.raises(SubjectNotFoundError):
        session.gallery.delete_subject("bob")


def _refuse(_database: Database, **_: object) -> None:
    raise StorageError("The disk that holds the database is full. Free some space.")


def test_an_export_holds_all_that_is_stored(world: World, session: Session) -> None:
    fill(world, session)
    again, _ = world.restart(DummyPipeline(fingerprint="e" * 64))
    archive = again.gallery.export(NAME.casefold(), COMMAND)
    assert archive.filename == f"{NAME}.zip"
    with ZipFile(io.BytesIO(b"".join(archive.chunks))) as files:
        assert files.testzip() is None
        document = json.loads(files.read("person.json"))
        photos = {n.removeprefix("photos/"): files.read(n) for n in files.namelist()}

    own = [path for path in world.files() if path.startswith(NAME)]
    assert {n for n in photos if n.startswith(NAME)} == set(own)
    assert all(photos[path] == (world.images / path).read_bytes() for path in own)
    assert document["subject"] == NAME
    assert len(document["references"]) == 9
    assert "other" not in json.dumps(document["references"])
    for reference in document["references"]:
        prints = [each["fingerprint"] for each in reference["embeddings"]]
        assert prints == ["d" * 64, "e" * 64]
        assert reference["path"] in photos
    _, references, matrix = again.gallery.references(NAME)
    exported = {r["image_id"]: r["embeddings"][1]["vector"] for r in document["references"]}
    for reference, row in zip(references, matrix, strict=True):
        assert np.array_equal(np.float32(exported[reference.image_id]), row)
    assert [u["path"] for u in document["unusable"]][:1] == [f"{NAME}/not-a-face.jpg"]
    assert {e["action"] for e in document["audit"]["entries"]} == {
        "enroll",
        "sync",
        "verify",
        "export",
    }


def test_an_export_leaves_out_what_is_not_theirs(world: World, session: Session) -> None:
    session.enroll("anna", photo("anna"))
    outside = world.root / "outside.jpg"
    outside.write_bytes(b"not hers")
    (world.images / "anna" / "link.jpg").symlink_to(outside)
    (world.images / "anna" / "..\\..\\evil.txt").write_bytes(b"hers")
    Path(os.fsdecode(os.fsencode(world.images) + b"/anna/M\xfcller.txt")).write_bytes(b"hers")
    (world.images / "anna" / "huge.bin").write_bytes(bytes(30 * 1024 * 1024))
    archive = session.gallery.export("anna", COMMAND)
    with ZipFile(io.BytesIO(b"".join(archive.chunks))) as files:
        document = json.loads(files.read("person.json"))
        assert not any("link" in name or "huge" in name for name in files.namelist())
        assert files.read("photos/anna/.._.._evil.txt") == b"hers"
    assert document["files_left_out"] == [
        "anna/M\N{REPLACEMENT CHARACTER}ller.txt",
        "anna/huge.bin",
        "anna/link.jpg",
    ]


def test_an_export_of_nobody_is_refused(session: Session) -> None:
    with pytest.raises(SubjectNotFoundError):
        session.gallery.export("nobody", COMMAND)
