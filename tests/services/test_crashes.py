"""The power fails, or a disk error comes, at each single step of a change."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import RootTransaction

from app.domain.errors import FacetwinError, StorageError
from tests.dummy_pipeline import photo
from tests.services.world import Session, World

FILE_STEPS: tuple[tuple[Any, str], ...] = (
    (os, "fsync"),
    (os, "mkdir"),
    (os, "replace"),
    (os, "unlink"),
)
STEPS = (*FILE_STEPS, (RootTransaction, "commit"))


class PowerCut(BaseException):
    """Nothing catches it, so nothing is tidied up."""


class Fault:
    """Fails at one of the durable steps, just before it or, for a power cut, just after it."""

    def __init__(self, at: int, error: BaseException) -> None:
        self._at = at
        self._error = error
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps - 1 == self._at:
            raise self._error

    @contextmanager
    def armed(self, steps: Sequence[tuple[Any, str]] = STEPS) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for owner, name in steps:
                patch.setattr(owner, name, self._wrap(getattr(owner, name)))
            yield

    def _wrap(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.step()
            result = original(*args, **kwargs)
            if isinstance(self._error, PowerCut):
                self.step()
            return result

        return wrapped


def state(world: World, session: Session) -> dict[str, int]:
    """References by subject, after checking that rows, embeddings, files and memory agree."""
    paths = sorted(str(row[2]) for row in world.rows("images"))
    assert world.files() == paths
    assert len(world.rows("embeddings")) == len(paths) == session.gallery.reference_count()
    assert world.rows("pending_removals") == []
    assert {str(row[1]) for row in world.rows("subjects")} == {path[:-37] for path in paths}
    return {s.subject: s.references for s in session.gallery.subjects()}


def enroll_old(session: Session) -> None:
    session.enroll("alice", photo("alice"), photo("alice", 1))


def enroll_new(session: Session) -> None:
    session.enroll("bob", photo("bob"), photo("bob", faces=0), photo("bob", 1))


def delete_subject(session: Session) -> None:
    session.gallery.delete_subject("alice")


def delete_image(session: Session) -> None:
    session.gallery.delete_image("alice", session.gallery.references("alice")[1][0].image_id)


CHANGES = {
    "enroll a new subject": (enroll_new, {"alice": 2, "bob": 2}),
    "enroll a known subject": (
        lambda session: session.enroll("alice", photo("alice", 2)),
        {"alice": 3},
    ),
    "delete a subject": (delete_subject, {}),
    "delete an image": (delete_image, {"alice": 1}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_power_cut_leaves_all_or_nothing(tmp_path: Path, name: str) -> None:
    change, after = CHANGES[name]
    outcomes = []
    for at in range(200):
        (tmp_path / str(at)).mkdir()
        world = World(tmp_path / str(at))
        session = world.open()
        enroll_old(session)
        try:
            with Fault(at, PowerCut()).armed():
                change(session)
        except PowerCut:
            session, _ = world.restart()
            outcomes.append(state(world, session))
            assert outcomes[-1] in ({"alice": 2}, after)
            # What was kept can be used, what was lost can be done again.
            if outcomes[-1] != after:
                change(session)
            assert state(world, session) == after
            world.close()
        else:
            world.close()
            break
    assert len(outcomes) >= 6
    # From the commit of the rows on, and only from there, the change holds.
    assert outcomes == sorted(outcomes, key=lambda outcome: outcome == after)
    assert outcomes[0] == {"alice": 2}
    assert outcomes[-1] == after


@pytest.mark.parametrize("name", ["enroll a new subject", "enroll a known subject"])
@pytest.mark.parametrize("cause", [errno.ENOSPC, errno.EIO])
def test_a_failed_enrolment_changes_nothing(tmp_path: Path, name: str, cause: int) -> None:
    change, after = CHANGES[name]
    failures = 0
    for at in range(100):
        (tmp_path / str(at)).mkdir()
        world = World(tmp_path / str(at))
        session = world.open()
        enroll_old(session)
        fault = Fault(at, OSError(cause, os.strerror(cause)))
        try:
            # A failing commit is the database's own error, tested with the database.
            with fault.armed(FILE_STEPS):
                change(session)
        except StorageError:
            failures += 1
        done = fault.steps <= at
        assert state(world, session) == (after if done else {"alice": 2})
        assert done or not (world.images / "bob").exists()
        world.close()
        if done:
            break
    assert failures >= 4


def test_a_deletion_that_fails_halfway_is_finished_later(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    enroll_old(session)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        with pytest.raises(StorageError, match="not writable"):
            session.gallery.delete_subject("alice")
        # Gone for every request, although the files are still there.
        with pytest.raises(FacetwinError, match="No subject"):
            session.verify("alice", photo("alice"))
        assert len(world.files()) == 2
        # A service that can't delete them still starts, and does not take them for new photos.
        session, report = world.restart()
        assert {file.path for file in report.skipped} == set(world.files())
        assert session.gallery.subjects() == []
    session, report = world.restart()
    assert report.skipped == ()
    assert state(world, session) == {}


def test_a_file_that_cannot_be_deleted_does_not_hinder_other_deletions(
    world: World, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    enroll_old(session)
    session.enroll("bob", photo("bob"))
    unlink = os.unlink

    def refuse(name: str, *, dir_fd: int) -> None:
        if Path(f"/proc/self/fd/{dir_fd}").readlink().name == "alice":
            raise PermissionError(errno.EACCES, "Permission denied")
        unlink(name, dir_fd=dir_fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        with pytest.raises(StorageError):
            session.gallery.delete_subject("alice")
        assert session.gallery.delete_subject("bob").removed.references == 1
        assert len(world.rows("pending_removals")) == len(world.files()) == 2
    session, _ = world.restart()
    assert state(world, session) == {}
