"""The changes that a process is killed in, each with the states that may be left behind."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Final

from alembic import command

from app.storage.cipher import new_key
from app.storage.database import Database
from app.storage.layout import MARKER
from app.storage.migration import configuration
from tests.dummy_pipeline import DummyPipeline, photo
from tests.services.world import Session, World

State = Mapping[str, frozenset[str]]
"""The sha256 of each reference as it was sent, by subject."""
Step = Callable[[Session], object]

OLD, NEW = "d" * 64, "e" * 64
"""Fingerprints of two bundles."""

_OLD_KEY, _NEW_KEY = new_key(), new_key()
_LONG_AGO: Final = 1_700_000_000
_PEOPLE: Final = {
    "alice": [photo("alice"), photo("alice", 1)],
    "carol": [photo("carol", i) for i in range(3)],
}
_BY_HAND: Final = {
    "root-0.jpg": photo("root"),
    "root-1.jpg": photo("root", 1),
    "dave/0.jpg": photo("dave"),
    "dave/1.jpg": photo("dave", 1),
}
BASE: Final[State] = {
    "alice": frozenset(sha256(p).hexdigest() for p in _PEOPLE["alice"]),
    "carol": frozenset(sha256(p).hexdigest() for p in _PEOPLE["carol"]),
    "dave": frozenset(sha256(_BY_HAND[f"dave/{i}.jpg"]).hexdigest() for i in range(2)),
    "default": frozenset(sha256(_BY_HAND[f"root-{i}.jpg"]).hexdigest() for i in range(2)),
}


@dataclass(frozen=True)
class Change:
    """What a child process does, one step after the other.

    Attributes:
        steps: Each is acknowledged once it has returned.
        states: What holds before the first step and after each; a step holds whole or not at all.
        prepare: What happens to the closed gallery before.
        opening: Whether the opening of the gallery belongs to the change.
        fingerprint: Of the bundle that does it, and that opens the gallery afterwards.
        key: What encrypts the gallery from then on, as the setting encryption_key takes it.
    """

    name: str
    steps: Sequence[Step]
    states: Sequence[State]
    prepare: Callable[[Path], None] = lambda _root: None
    opening: bool = False
    fingerprint: str = OLD
    key: str | None = None


def make_base(root: Path) -> None:
    """A gallery with people who were enrolled and people from the folder."""
    world = World(root)
    session = world.open()
    for subject, photos in _PEOPLE.items():
        session.enroll(subject, *photos)
    for path, data in _BY_HAND.items():
        put(root, path, data)
    session.gallery.sync()
    world.close()


def put(root: Path, path: str, data: bytes) -> None:
    """Put a file into verification_images that has stood still for long."""
    place = root / "verification_images" / path
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(data)
    os.utime(place, (_LONG_AGO, _LONG_AGO))


def all_changes() -> list[Change]:
    """One of each kind."""
    return [
        _enroll(
            "enroll a new subject", "bob", [photo("bob"), photo("bob", faces=0), photo("bob", 1)]
        ),
        _enroll("enroll a known subject", "alice", [photo("alice", 2)]),
        Change(
            "delete a subject",
            [lambda session: session.gallery.delete_subject("alice")],
            [BASE, _without("alice")],
            prepare=lambda root: put(root, "alice/notes.txt", b"not a photo"),
        ),
        Change("delete an image", [_delete_oldest("carol")], [BASE, _less(BASE, "carol", 0)]),
        _sync(),
        Change("embed anew", [_synchronise], [BASE, BASE], opening=True, fingerprint=NEW),
        Change("migrate", [_synchronise], [BASE, BASE], prepare=_downgrade, opening=True),
        Change(
            "mark the folder",
            [_synchronise],
            [BASE, BASE],
            prepare=lambda root: (root / "verification_images" / MARKER).unlink(),
            opening=True,
        ),
        Change("encrypt", [_encrypt], [BASE, BASE], opening=True, key=_OLD_KEY),
        Change(
            "change the key",
            [_encrypt],
            [BASE, BASE],
            prepare=_encrypt_before,
            opening=True,
            key=f"{_NEW_KEY},{_OLD_KEY}",
        ),
        Change("log a verdict", [_log_verdict], [BASE, BASE]),
    ]


def random_changes(random: Random, count: int = 5) -> Change:
    """Some enrolments and deletions in one process."""
    state, steps, states = BASE, list[Step](), [BASE]
    for number in range(count):
        subject = random.choice(["alice", "bob", "carol", "erin"])
        if subject not in state or random.random() < 0.5:
            photos = [photo(subject, f"{number}-{i}") for i in range(random.randint(1, 3))]
            steps.append(_enroller(subject, photos))
            state = _with(state, subject, photos)
        else:
            steps.append(_delete(subject))
            state = {name: photos for name, photos in state.items() if name != subject}
        states.append(state)
    return Change("several", steps, states)


def _enroll(name: str, subject: str, photos: list[bytes]) -> Change:
    good = [each for each in photos if b":0#" not in each]
    return Change(name, [_enroller(subject, photos)], [BASE, _with(BASE, subject, good)])


def _enroller(subject: str, photos: list[bytes]) -> Step:
    return lambda session: session.enroll(subject, *photos)


def _delete(subject: str) -> Step:
    return lambda session: session.gallery.delete_subject(subject)


def _delete_oldest(subject: str) -> Step:
    def step(session: Session) -> None:
        oldest = session.gallery.references(subject)[1][0]
        session.gallery.delete_image(subject, oldest.image_id)

    return step


def _sync() -> Change:
    """A photo that is new, one that changed, one that is gone and one that can't be used."""
    fresh, changed = photo("frank"), photo("dave", "changed")

    def prepare(root: Path) -> None:
        put(root, "frank/0.jpg", fresh)
        put(root, "dave/0.jpg", changed)
        put(root, "dave/bad.jpg", photo("dave", faces=0))
        (root / "verification_images" / "root-0.jpg").unlink()

    after = {
        **BASE,
        "frank": frozenset({sha256(fresh).hexdigest()}),
        "dave": frozenset(sha256(p).hexdigest() for p in (changed, _BY_HAND["dave/1.jpg"])),
        "default": frozenset({sha256(_BY_HAND["root-1.jpg"]).hexdigest()}),
    }
    # The folder is the truth: whoever opens the gallery next finishes the work.
    return Change("synchronise", [_synchronise], [after, after], prepare)


def _synchronise(session: Session) -> None:
    session.gallery.sync()


def _encrypt(session: Session) -> None:
    session.encryption.rotate()
    session.gallery.sync()


def _encrypt_before(root: Path) -> None:
    session = Session(root, DummyPipeline(), key=_OLD_KEY)
    _encrypt(session)
    session.audit.close()
    session.database.close()


def _log_verdict(session: Session) -> None:
    session.verify("alice", photo("alice", 9))
    session.audit.flush()


def _downgrade(root: Path) -> None:
    """Make the database one of the first version."""
    address = f"sqlite:///{root / 'facetwin.sqlite'}"
    with closing(Database(address)) as database, database._engine.begin() as connection:
        command.downgrade(configuration(connection), "0001")


def _with(state: State, subject: str, photos: Sequence[bytes]) -> State:
    added = frozenset(sha256(each).hexdigest() for each in photos)
    return {**state, subject: state.get(subject, frozenset()) | added}


def _without(subject: str) -> State:
    return {name: photos for name, photos in BASE.items() if name != subject}


def _less(state: State, subject: str, index: int) -> State:
    gone = sha256(_PEOPLE[subject][index]).hexdigest()
    return {**state, subject: state[subject] - {gone}}
