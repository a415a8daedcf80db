"""When a file in the folder counts, told by a clock that the tests turn."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.services.gallery import SyncReport
from app.services.settling import Clock
from tests.dummy_pipeline import photo
from tests.services.world import Session, World

NOW = 1_800_000_000.0


@dataclass
class Time:
    """A monotonic and a wall clock; `meanwhile` happens while someone waits."""

    passed: float = 0.0
    wall: float = NOW
    waits: list[float] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None

    def clock(self) -> Clock:
        return Clock(lambda: self.passed, lambda: self.wall + self.passed, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.meanwhile()
        self.passed += seconds


@pytest.fixture
def time() -> Time:
    return Time()


def opened(world: World, time: Time) -> Session:
    """A gallery that knows one photo and has had its first look."""
    world.put("alice/known.jpg", photo("alice", "known"))
    session = world.open(settle_seconds=2.0, clock=time.clock())
    session.gallery.sync()
    time.waits.clear()
    return session


def outcome(report: SyncReport) -> tuple[int, int]:
    return report.added, report.unsettled


def set_time(place: Path, seconds: float) -> None:
    os.utime(place, (seconds, seconds))


def test_a_file_counts_once_it_stood_still(world: World, time: Time) -> None:
    session = opened(world, time)
    place = world.put("alice/a.jpg", photo("alice")[:5])
    assert outcome(session.gallery.sync()) == (0, 1)
    time.passed += 1.9
    place.write_bytes(photo("alice"))
    assert outcome(session.gallery.sync()) == (0, 1)
    time.passed += 1.9
    assert outcome(session.gallery.sync()) == (0, 1)
    assert session.gallery.reference_count() == 1
    time.passed += 0.1
    assert outcome(session.gallery.sync()) == (1, 0)
    assert time.waits == []


@pytest.mark.parametrize("seconds", [0.0, NOW - 1, NOW, NOW + 1, NOW + 1e6])
def test_a_copied_time_tells_nothing(world: World, time: Time, seconds: float) -> None:
    session = opened(world, time)
    place = world.put("alice/a.jpg", photo("alice"))
    set_time(place, seconds)
    assert outcome(session.gallery.sync()) == (0, 1)
    # The copy goes on, and sets the same time again.
    time.passed += 2
    place.write_bytes(photo("alice", 1))
    set_time(place, seconds)
    assert outcome(session.gallery.sync()) == (0, 1)
    time.passed += 2
    assert outcome(session.gallery.sync()) == (1, 0)


@pytest.mark.parametrize("step", [-1e6, -2.0, 2.0, 1e6])
def test_steps_of_the_clock_change_nothing(world: World, time: Time, step: float) -> None:
    session = opened(world, time)
    world.put("alice/a.jpg", photo("alice"))
    assert outcome(session.gallery.sync()) == (0, 1)
    time.wall += step
    assert outcome(session.gallery.sync()) == (0, 1)
    time.passed += 2
    time.wall -= 2 * step
    assert outcome(session.gallery.sync()) == (1, 0)


def test_a_changed_photo_keeps_its_reference_until_it_stands_still(
    world: World, time: Time
) -> None:
    session = opened(world, time)
    before = session.gallery.references("alice")[2].copy()
    world.put("alice/known.jpg", photo("alice", "other"))
    assert outcome(session.gallery.sync()) == (0, 1)
    assert session.gallery.references("alice")[2].tolist() == before.tolist()
    time.passed += 2
    assert session.gallery.sync().embedded == 1
    assert session.gallery.references("alice")[2].tolist() != before.tolist()


def recent(place: Path, time: Time) -> None:
    """Files of a test are made by the real clock; the fake one follows it."""
    time.wall = place.stat().st_ctime - time.passed


def test_the_first_look_waits_once_for_what_changed_just_now(world: World, time: Time) -> None:
    place = world.put("alice/a.jpg", photo("alice"))
    set_time(place, 0)  # a copy that keeps times: only ctime tells
    world.put("alice/b.jpg", photo("alice", 1))
    recent(place, time)
    moving = world.put("alice/c.jpg", b"")
    time.meanwhile = lambda: moving.write_bytes(photo("alice", 2))
    session = world.open(settle_seconds=2.0, clock=time.clock())
    assert outcome(session.gallery.sync()) == (2, 1)
    assert time.waits == [2.0]
    assert outcome(session.gallery.sync()) == (0, 1)
    time.passed += 2
    assert outcome(session.gallery.sync()) == (1, 0)
    assert time.waits == [2.0]


def test_the_first_look_does_not_wait_for_what_is_known_or_old(world: World, time: Time) -> None:
    place = world.put("alice/a.jpg", photo("alice"))
    world.open().gallery.sync()
    recent(place, time)
    session = world.open(settle_seconds=2.0, clock=time.clock())
    assert session.gallery.sync().unchanged == 1
    world.put("alice/b.jpg", photo("alice", 1))
    time.wall += 1000
    session = world.open(settle_seconds=2.0, clock=time.clock())
    assert outcome(session.gallery.sync()) == (1, 0)
    assert time.waits == []


def test_a_time_in_the_near_future_is_waited_for_too(world: World, time: Time) -> None:
    place = world.put("alice/a.jpg", photo("alice"))
    set_time(place, NOW + 1)
    session = world.open(settle_seconds=2.0, clock=time.clock())
    assert outcome(session.gallery.sync()) == (1, 0)
    assert time.waits == [2.0]


def test_a_sent_photo_counts_at_once(world: World, time: Time) -> None:
    session = opened(world, time)
    session.enroll("bob", photo("bob"))
    assert (session.gallery.sync().unsettled, session.gallery.reference_count()) == (0, 2)


def test_a_photo_that_is_replaced_by_a_new_file_keeps_its_reference(
    world: World, time: Time
) -> None:
    session = opened(world, time)
    world.put("bob/b.jpg", photo("bob"))
    time.passed += 2
    session.gallery.sync()
    time.passed += 2
    session.gallery.sync()
    (image,) = session.gallery.subject("alice")[1]
    # As editors save: the old file goes, the new one comes.
    (world.images / "alice" / "known.jpg").unlink()
    assert session.gallery.sync().removed == 0
    world.put("alice/known.jpg", photo("alice", "edited"))
    for _ in range(2):
        time.passed += 2
        report = session.gallery.sync()
    assert (report.removed, report.unchanged + report.embedded) == (0, 2)
    assert session.gallery.subject("alice")[1][0].image_id == image.image_id


def test_a_folder_that_is_being_emptied_is_judged_as_a_whole(world: World, time: Time) -> None:
    for i in range(9):
        world.put(f"alice/{i}.jpg", photo("alice", i))
    session = opened(world, time)
    assert session.gallery.reference_count() == 10
    for i in range(6):
        (world.images / "alice" / f"{i}.jpg").unlink()
        assert session.gallery.sync().removed == 0
        time.passed += 1
    time.passed += 60
    assert session.gallery.sync().removed == 0
    assert [p.code for p in session.gallery.health().degraded] == ["files_missing"]


def test_a_vanished_photo_goes_after_a_moment(world: World, time: Time) -> None:
    world.put("alice/a.jpg", photo("alice"))
    session = opened(world, time)
    (world.images / "alice" / "a.jpg").unlink()
    assert session.gallery.sync().removed == 0
    time.passed += 2
    assert session.gallery.sync().removed == 1


def test_the_first_look_gives_a_vanished_photo_a_moment_too(world: World, time: Time) -> None:
    for i in range(3):
        world.put(f"alice/{i}.jpg", photo("alice", i))
    opened(world, time)
    for i in range(2):
        (world.images / "alice" / f"{i}.jpg").unlink()
    # One is being replaced by an editor at this moment.
    time.meanwhile = lambda: world.put("alice/0.jpg", photo("alice", 0))
    command = world.open(settle_seconds=2.0, clock=time.clock())
    assert command.gallery.sync().removed == 1
    assert time.waits == [2.0]
    assert command.gallery.reference_count() == 3


def test_a_steady_trickle_of_removals_takes_effect(world: World, time: Time) -> None:
    for i in range(39):
        world.put(f"alice/{i}.jpg", photo("alice", i))
    session = opened(world, time)
    for i in range(30):
        (world.images / "alice" / f"{i}.jpg").unlink()
        session.gallery.sync()
        # A small share goes within moments, whatever else goes on.
        assert session.gallery.reference_count() <= 40 - min(i, 3)
        time.passed += 7
        assert session.gallery.health().degraded == ()
    session.gallery.sync()
    assert session.gallery.reference_count() == 10


def test_a_trickle_without_a_pause_is_late_but_believed(world: World, time: Time) -> None:
    for i in range(199):
        world.put(f"alice/{i}.jpg", photo("alice", i))
    session = opened(world, time)
    for i in range(100):
        (world.images / "alice" / f"{i}.jpg").unlink()
        time.passed += 1.5
        session.gallery.sync()
    assert session.gallery.health().degraded == ()
    assert session.gallery.reference_count() <= 200 - 100 + 41
    time.passed += 2
    session.gallery.sync()
    assert session.gallery.reference_count() == 100


def test_a_disk_that_drops_its_files_over_seconds_is_no_removal(world: World, time: Time) -> None:
    for i in range(39):
        world.put(f"alice/{i}.jpg", photo("alice", i))
    session = opened(world, time)
    for i in range(30):
        (world.images / "alice" / f"{i}.jpg").unlink()
        session.gallery.sync()
        time.passed += 1
    time.passed += 600
    session.gallery.sync()
    assert [p.code for p in session.gallery.health().degraded] == ["files_missing"]
    # No more than a tenth was believed before there was a loss to be seen.
    assert session.gallery.reference_count() >= 36
