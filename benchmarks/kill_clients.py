"""Clients of a server that is killed: each knows what was acknowledged, and what may be either way.

Each client has subjects of its own, so what must be there follows from its own calls alone.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from random import Random
from threading import Event
from typing import Final, Protocol

from benchmarks.calls import BROKEN, Answer, Caller
from benchmarks.photos import PEOPLE, variant

Held = Mapping[str, frozenset[str]]
"""Image ids by subject."""

_NOTHING: Final[frozenset[str]] = frozenset()
_SIDE: Final = 320
_MOST: Final = 12
"""References that a client keeps, about."""
_UNSURE: Final = frozenset({"storage_unavailable", "request_timeout", "internal_error"})


class Worker(Protocol):
    """What works on a server until it is gone."""

    def run(self, port: int, ended: Event) -> None:
        """Call the server at this port."""


@dataclass(frozen=True)
class Pending:
    """A call without an answer: it happened whole or not at all.

    Attributes:
        added: How many references it would add.
        removed: Those that it would remove.
    """

    subject: str
    added: int = 0
    removed: frozenset[str] = _NOTHING


@dataclass
class Uploader:
    """Enrolls and deletes over HTTP."""

    name: str
    random: Random
    held: dict[str, frozenset[str]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    pending: Pending | None = None
    enrolments: int = 0
    deletions: int = 0
    problems: list[str] = field(default_factory=list)

    def run(self, port: int, ended: Event) -> None:
        """Call until the server is gone."""
        caller = Caller(port)
        try:
            while not ended.is_set() and self.pending is None:
                self._act(caller)
        except BROKEN:
            pass
        finally:
            caller.close()

    def resolve(self, found: Held) -> list[str]:
        """Hold what is there after a restart against what must be, and go on from it."""
        problems, self.problems = self.problems, []
        for subject in {*self._own(found), *self.held}:
            before, now = self.held.get(subject, _NOTHING), found.get(subject, _NOTHING)
            if not self._may_be(subject, before, now):
                lost, extra = len(before - now), len(now - before)
                problems.append(f"{lost} acknowledged references lost, {extra} too many")
        resurrected = self.deleted & {i for held in found.values() for i in held}
        if resurrected:
            problems.append(f"{len(resurrected)} acknowledged deletions resurrected")
        self.held, self.pending = {s: found[s] for s in self._own(found) if found[s]}, None
        return problems

    def _may_be(self, subject: str, before: frozenset[str], now: frozenset[str]) -> bool:
        if now == before:
            return True
        if self.pending is None or self.pending.subject != subject:
            return False
        if self.pending.removed:
            return now == before - self.pending.removed
        return before < now and len(now - before) == self.pending.added

    def _own(self, found: Iterable[str]) -> list[str]:
        return [subject for subject in found if subject.startswith(f"{self.name}-")]

    def _act(self, caller: Caller) -> None:
        kept = sum(map(len, self.held.values()))
        if kept == 0 or self.random.random() > kept / _MOST:
            self._enroll(caller)
        elif self.random.random() < 0.7:
            self._delete_image(caller)
        else:
            self._delete_subject(caller)

    def _enroll(self, caller: Caller) -> None:
        subject = f"{self.name}-{self.random.randrange(3)}"
        person = self.random.choice(PEOPLE)
        seeds = self.random.sample(range(10**9), self.random.randint(1, 2))
        photos = [variant(person, seed, width=_SIDE, height=_SIDE) for seed in seeds]
        self.pending = Pending(subject, added=len(photos))
        answer = caller.enroll(photos, subject)
        if answer.status == HTTPStatus.CREATED:
            added = {photo["image_id"] for photo in answer.document["enrolled"]}
            if len(added) != len(photos):
                self.problems.append("a good photo was rejected")
            self.held[subject] = self.held.get(subject, _NOTHING) | added
            self.enrolments += 1
        self._answered(answer)

    def _delete_image(self, caller: Caller) -> None:
        subject = self.random.choice(sorted(self.held))
        image_id = self.random.choice(sorted(self.held[subject]))
        self._delete(caller, f"/subjects/{subject}/images/{image_id}", subject, {image_id})

    def _delete_subject(self, caller: Caller) -> None:
        subject = self.random.choice(sorted(self.held))
        self._delete(caller, f"/subjects/{subject}", subject, self.held[subject])

    def _delete(self, caller: Caller, path: str, subject: str, ids: Iterable[str]) -> None:
        gone = frozenset(ids)
        self.pending = Pending(subject, removed=gone)
        answer = caller.delete(path)
        if answer.status in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
            self.held[subject] -= gone
            self.held = {name: held for name, held in self.held.items() if held}
            self.deleted |= gone
            self.deletions += 1
        self._answered(answer)

    def _answered(self, answer: Answer) -> None:
        """After a clear answer nothing is pending; a refusal has changed nothing."""
        if answer.status >= HTTPStatus.BAD_REQUEST and answer.code not in {
            "overloaded",
            "shutting_down",
        }:
            self.problems.append(f"unexpected answer {answer.status} {answer.code}")
        if answer.code not in _UNSURE:
            self.pending = None


@dataclass
class Verifier:
    """Verifies the right and the wrong person; wrong verdicts are problems."""

    answers: int = 0
    problems: list[str] = field(default_factory=list)

    def run(self, port: int, ended: Event) -> None:
        """Call until the server is gone."""
        caller = Caller(port)
        photos = [variant(person, 1, width=_SIDE, height=_SIDE) for person in PEOPLE]
        try:
            while not ended.is_set():
                for photo, right in zip(photos, ("match", "no_match"), strict=True):
                    self._count(caller.verify(photo), right)
        except BROKEN:
            pass
        finally:
            caller.close()

    def _count(self, answer: Answer, right: str) -> None:
        self.answers += 1
        if answer.status == HTTPStatus.OK and answer.document["decision"] != right:
            self.problems.append(f"{answer.document['decision']} instead of {right}")


@dataclass
class Hand:
    """Someone who puts, replaces and removes files in the folder while the service runs.

    Attributes:
        files: sha256 of each file by its path; what the folder must lead to.
        touched: Changes so far.
    """

    images: Path
    random: Random
    files: dict[str, str] = field(default_factory=dict)
    touched: int = 0

    def run(self, _port: int, ended: Event) -> None:
        """Change the folder until the server is gone; what is begun is finished."""
        while not ended.is_set():
            self.act()
            ended.wait(0.1)

    def act(self) -> None:
        """One change."""
        path = f"hand-{self.random.randrange(2)}/{self.random.randrange(4)}.jpg"
        self.touched += 1
        if path in self.files and self.random.random() < 0.5:
            (self.images / path).unlink()
            del self.files[path]
            return
        data = variant(PEOPLE[0], self.random.randrange(10**9), width=_SIDE, height=_SIDE)
        (self.images / path).parent.mkdir(exist_ok=True)
        if self.random.random() < 0.5:
            self._rename(path, data)
        else:
            self._write_slowly(path, data)
        self.files[path] = sha256(data).hexdigest()

    def _rename(self, path: str, data: bytes) -> None:
        draft = (self.images / path).with_name(".draft")
        draft.write_bytes(data)
        draft.replace(self.images / path)

    def _write_slowly(self, path: str, data: bytes) -> None:
        with (self.images / path).open("wb", buffering=0) as file:
            for start in range(0, len(data), 10_000):
                file.write(data[start : start + 10_000])
                time.sleep(0.05)
