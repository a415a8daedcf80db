"""A photo that is enrolled while another model is prepared is embedded by both."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import NoReturn

import pytest

from app.domain.entities import FacePolicy, FaceTemplate
from app.services.succession import Succession
from tests.dummy_pipeline import DummyPipeline, photo
from tests.services.world import Session, World

COMING = "c" * 64


class Picky(DummyPipeline):
    """Refuses every photo that is merely good; the one before took it."""

    def analyze(self, data: bytes, policy: FacePolicy) -> FaceTemplate:
        return super().analyze(data.replace(b":0.9:", b":0.1:"), policy)


class Broken(DummyPipeline):
    def analyze(self, data: bytes, policy: FacePolicy) -> NoReturn:
        raise RuntimeError("it fails on every photo")


def fingerprints(world: World) -> list[str]:
    return sorted(str(row[1]) for row in world.rows("embeddings"))


def test_without_a_coming_model_there_is_one_embedding(world: World, session: Session) -> None:
    session.enroll("alice", photo("alice"))
    assert fingerprints(world) == ["d" * 64]


def test_both_embeddings_are_stored(world: World, session: Session) -> None:
    coming = DummyPipeline(fingerprint=COMING)
    session.enrollment.succession.announce(coming)
    session.enroll("alice", photo("alice"), photo("alice", 1))
    assert fingerprints(world) == [COMING] * 2 + ["d" * 64] * 2
    after = session.gallery.under(coming)
    _, references, matrix = after.references("alice")
    stored = [session.files.content(r.path) for r in references]
    expected = [coming.analyze(data, FacePolicy.PROMINENT).embedding.tolist() for data in stored]
    assert matrix.tolist() == expected


def test_the_model_that_serves_need_not_embed_twice(world: World, session: Session) -> None:
    session.enrollment.succession.announce(session.pipeline)
    session.enroll("alice", photo("alice"))
    assert session.pipeline.analyzed == 1
    assert fingerprints(world) == ["d" * 64]


def test_a_photo_that_only_the_coming_model_refuses_is_remembered(
    world: World, session: Session
) -> None:
    picky = Picky(fingerprint=COMING)
    session.enrollment.succession.announce(picky)
    assert session.enroll("alice", photo("alice")).references == 1
    assert fingerprints(world) == ["d" * 64]
    ((path, fingerprint, *_),) = world.rows("skipped_files")
    assert (path, fingerprint) == (world.files()[0], COMING)
    analyzed = picky.analyzed
    report = session.gallery.under(picky).sync()
    assert picky.analyzed == analyzed
    assert [file.path for file in report.skipped] == world.files()


def test_a_coming_model_that_fails_does_not_keep_anyone_from_enrolling(
    world: World, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    session.enrollment.succession.announce(Broken(fingerprint=COMING))
    assert session.enroll("alice", photo("alice")).references == 1
    assert fingerprints(world) == ["d" * 64]
    assert "RuntimeError" in caplog.text


def test_enrolments_that_began_before_are_waited_for() -> None:
    succession, first, second = Succession(), DummyPipeline(), DummyPipeline(fingerprint=COMING)
    succession.announce(first)
    waited = Event()

    def wait() -> None:
        succession.wait(lambda: False)
        waited.set()

    with ThreadPoolExecutor(1) as thread, succession.enrolling() as before:
        assert before is first
        succession.announce(second)
        with succession.enrolling() as after:
            assert after is second
            done = thread.submit(wait)
            assert not waited.wait(0.25)
        # That one began later, so its end changes nothing.
        assert not waited.wait(0.25)
        before_ended = not waited.is_set()
    done.result(30)
    assert before_ended
    assert waited.is_set()


def test_later_enrolments_are_not_waited_for() -> None:
    succession = Succession()
    succession.announce(DummyPipeline())
    with succession.enrolling():
        succession.wait(lambda: False)


def test_waiting_ends_when_it_shall_stop() -> None:
    succession = Succession()
    with succession.enrolling():
        succession.announce(DummyPipeline())
        succession.wait(lambda: True)
