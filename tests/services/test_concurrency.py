"""Many threads and two processes' views on one gallery."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np

from app.domain.errors import EnrollmentRejectedError, SubjectNotFoundError
from tests.dummy_pipeline import photo
from tests.services.world import Session, World

PROBE = photo("alice", "probe")
ALICE = [photo("alice", i) for i in range(3)]
EVE = [photo("eve", i) for i in range(5)]


def run(
    readers: list[Callable[[], None]], writers: list[Callable[[], None]], seconds: float = 600
) -> None:
    """Repeat the readers, each in its thread, until all writers are done."""
    done = Event()

    def repeat(reader: Callable[[], None]) -> None:
        while not done.is_set():
            reader()

    with ThreadPoolExecutor(len(readers) + len(writers)) as threads:
        reading = [threads.submit(repeat, reader) for reader in readers]
        writing = [threads.submit(writer) for writer in writers]
        try:
            for future in writing:
                future.result(seconds)
        finally:
            done.set()
        for future in reading:
            future.result(seconds)


def test_every_answer_comes_from_one_state_of_the_gallery(world: World) -> None:
    sessions = [world.open(), world.open()]
    sessions[0].enroll("twin", *ALICE)
    seen: set[tuple[int, bool] | None] = set()

    def verify(session: Session) -> None:
        try:
            result = session.verify("twin", PROBE)
        except SubjectNotFoundError:
            seen.add(None)
            return
        scores = result.verdict.reference_scores
        assert len(scores) == len(result.references)
        expected = [r.embedding @ result.probe.embedding for r in result.references]
        assert np.allclose(scores, expected)
        # All of Alice's photos or all of Eve's: never a mixture, never a part.
        assert len({bool(score > 0.5) for score in scores}) == 1
        seen.add((len(scores), result.verdict.verified))

    def swap() -> None:
        for i in range(6):
            session = sessions[i % 2]
            session.gallery.delete_subject("twin")
            session.enroll("twin", *(ALICE if i % 2 else EVE))

    run([lambda s=sessions[i % 2]: verify(s) for i in range(8)], [swap])  # type: ignore[misc]
    assert seen <= {None, (3, True), (5, False)}
    assert len(seen) >= 2


def test_concurrent_enrolments_of_one_subject_lose_nothing(world: World) -> None:
    sessions = [world.open(), world.open()]
    accepted: list[int] = []

    def enroll(worker: int) -> None:
        for i in range(6):
            # Half of the photos are sent by every worker.
            name = f"shared-{i}" if i % 2 else f"{worker}-{i}"
            try:
                sessions[worker % 2].enroll("alice", photo("alice", name))
            except EnrollmentRejectedError:
                continue
            accepted.append(worker)

    run([], [lambda w=worker: enroll(w) for worker in range(4)])  # type: ignore[misc]
    assert len(accepted) == 4 * 3 + 3
    for session in sessions:
        _, references, matrix = session.gallery.references("alice")
        assert len(references) == len(matrix) == len(accepted) == len(world.files())
        assert len({r.image_id for r in references}) == len(accepted)


def test_two_processes_may_start_and_change_the_gallery_at_once(world: World) -> None:
    sessions = [world.open(), world.open()]
    for i in range(40):
        world.put(f"alice/{i}.jpg", photo("alice", i))

    def sync(session: Session) -> None:
        for _ in range(5):
            session.gallery.sync()

    def enroll() -> None:
        for i in range(10):
            sessions[0].enroll("bob", photo("bob", i))

    run([], [lambda: sync(sessions[0]), lambda: sync(sessions[1]), enroll])
    assert [(s.subject, s.references) for s in sessions[1].gallery.subjects()] == [
        ("alice", 40),
        ("bob", 10),
    ]
    assert len(world.files()) == 50


def test_a_subject_deleted_during_a_synchronisation_stays_deleted(world: World) -> None:
    syncing, server = world.open(), world.open()
    server.enroll("alice", photo("alice"))
    for i in range(5):
        world.put(f"alice/{i}.jpg", photo("alice", f"folder-{i}"))
    deleted: list[int] = []

    def progress(done: int, _total: int) -> None:
        if done == 3:
            deleted.append(server.gallery.delete_subject("alice").removed.references)

    report = syncing.gallery.sync(progress)
    assert deleted == [1]
    assert report.added == 0
    assert world.files() == []
    assert syncing.gallery.subjects() == server.gallery.subjects() == []
