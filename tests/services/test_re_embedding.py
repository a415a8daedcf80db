"""Every reference is embedded by the coming model, or the activation says why not."""

import shutil
from pathlib import Path

import pytest

from app.domain.entities import FacePolicy, FaceTemplate
from app.domain.errors import BundleError, StorageError
from app.services import re_embedding
from app.services.photo_intake import unwatched
from app.services.re_embedding import ReEmbedding
from tests.dummy_pipeline import DummyPipeline, photo
from tests.services.world import Session, World

BEFORE, COMING = "d" * 64, "c" * 64


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(re_embedding, "PAUSE_SECONDS", 0.0)


class Picky(DummyPipeline):
    """Finds every photo of these people too blurred."""

    def __init__(self, *refused: bytes) -> None:
        super().__init__(fingerprint=COMING)
        self._refused = refused

    def analyze(self, data: bytes, policy: FacePolicy) -> FaceTemplate:
        if any(name in data for name in self._refused):
            data = data.replace(b":0.9:", b":0.1:")
        return super().analyze(data, policy)


class Moody(DummyPipeline):
    """Fails on every photo."""

    def analyze(self, data: bytes, policy: FacePolicy) -> FaceTemplate:
        raise RuntimeError("it fails")


def work_of(session: Session, coming: DummyPipeline) -> ReEmbedding:
    gallery = session.gallery.under(coming)
    return ReEmbedding(session.database, gallery, coming.fingerprint, BEFORE)


@pytest.fixture
def enrolled(session: Session) -> Session:
    session.enroll("alice", photo("alice"), photo("alice", 1))
    session.enroll("bob", photo("bob"))
    return session


def counts(world: World) -> dict[str, int]:
    found = [str(row[1]) for row in world.rows("embeddings")]
    return {fingerprint: found.count(fingerprint) for fingerprint in found}


def test_all_are_embedded_and_the_old_embeddings_stay(world: World, enrolled: Session) -> None:
    steps: list[tuple[int, int]] = []
    work = work_of(enrolled, DummyPipeline(fingerprint=COMING))
    work.embed(lambda done, total: steps.append((done, total)))
    work.finish()
    assert counts(world) == {BEFORE: 3, COMING: 3}
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_the_way_back_embeds_what_has_come_since(world: World, enrolled: Session) -> None:
    coming = DummyPipeline(fingerprint=COMING)
    work_of(enrolled, coming).finish()
    enrolled.enroll("bob", photo("bob", 1))
    analyzed = coming.analyzed
    work_of(enrolled, coming).finish()
    assert coming.analyzed == analyzed + 1


def test_photos_that_came_during_the_embedding_are_caught_up(
    world: World, enrolled: Session
) -> None:
    work = work_of(enrolled, DummyPipeline(fingerprint=COMING))
    work.embed(unwatched)
    enrolled.enroll("carol", photo("carol"))
    work.finish()
    assert counts(world) == {BEFORE: 4, COMING: 4}


def test_a_photo_that_the_model_refuses_is_no_obstacle(world: World, enrolled: Session) -> None:
    work_of(enrolled, Picky(b"bob")).finish()
    assert counts(world) == {BEFORE: 3, COMING: 2}


def test_a_model_that_can_use_nothing_is_refused(enrolled: Session) -> None:
    with pytest.raises(BundleError, match="none of the 3 references"):
        work_of(enrolled, Picky(b"alice", b"bob")).finish()


def test_an_empty_gallery_is_no_obstacle(session: Session) -> None:
    work_of(session, Picky()).finish()


def test_photos_that_cannot_be_looked_at_keep_the_model_out(enrolled: Session) -> None:
    with pytest.raises(StorageError, match="3 references can't be embedded"):
        work_of(enrolled, Moody(fingerprint=COMING)).finish()


def test_without_the_disk_of_the_photos_the_reason_is_told(world: World, enrolled: Session) -> None:
    world.images.rename(world.root / "away")
    with pytest.raises(StorageError, match="Mount the disk"):
        work_of(enrolled, DummyPipeline(fingerprint=COMING)).finish()


def test_what_was_embedded_before_needs_no_photos(world: World, enrolled: Session) -> None:
    coming = DummyPipeline(fingerprint=COMING)
    work_of(enrolled, coming).finish()
    world.images.rename(world.root / "away")
    work_of(enrolled, coming).finish()


def test_held_photos_keep_the_model_out(world: World, enrolled: Session) -> None:
    """Most photos are gone and nobody has confirmed it: their references must not be lost."""
    enrolled.gallery.sync()
    shutil.rmtree(world.images / "alice")
    enrolled.gallery.sync()
    assert len(world.rows("held_photos")) == 2
    with pytest.raises(StorageError, match="2 references can't be embedded"):
        work_of(enrolled, DummyPipeline(fingerprint=COMING)).finish()
    assert enrolled.gallery.reference_count() == 3


def test_it_can_be_stopped_and_goes_on_where_it_was(world: World, enrolled: Session) -> None:
    coming = DummyPipeline(fingerprint=COMING)
    work = work_of(enrolled, coming)
    work.embed(unwatched, stopping=lambda: coming.analyzed >= 1)
    with pytest.raises(StorageError, match="stopped"):
        work.finish(stopping=lambda: True)
    assert counts(world) == {BEFORE: 3, COMING: 1}
    work_of(enrolled, coming).finish()
    assert coming.analyzed == 3


def test_whom_the_old_gallery_erases_the_new_one_forgets(world: World, enrolled: Session) -> None:
    (world.images / "alice" / "bad.jpg").write_bytes(b"?")
    after = enrolled.gallery.under(DummyPipeline(fingerprint=COMING))
    enrolled.gallery.succeeded_by(after)
    after.sync()
    assert after.reference_count() == 3
    assert [file.path for file in after.health().report.skipped] == ["alice/bad.jpg"]
    enrolled.gallery.delete_subject("alice")
    assert after.health().report.skipped == ()
    assert set(after._snapshots.newest.subjects) == {"bob"}


def test_two_galleries_follow_one_folder(world: World, enrolled: Session, tmp_path: Path) -> None:
    """Whoever takes up a photo first, the other embeds it too; nobody removes what stays."""
    after = enrolled.gallery.under(DummyPipeline(fingerprint=COMING))
    for number in range(3):
        world.put(f"dora/{number}.jpg", photo("dora", number))
        first, second = (enrolled.gallery, after) if number % 2 else (after, enrolled.gallery)
        first.sync()
        second.sync()
    (world.images / "dora" / "0.jpg").unlink()
    for gallery in (after, enrolled.gallery):
        gallery.sync()
    assert counts(world) == {BEFORE: 5, COMING: 5}
    for gallery in (after, enrolled.gallery):
        assert gallery.reference_count() == 5
        assert gallery.health().degraded == ()
