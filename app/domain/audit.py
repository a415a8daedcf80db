"""The audit log's words: who did what and when, chained so that a change shows.

Each entry's hash is an HMAC over its content and the hash before it (after Schneier and Kelsey,
"Secure Audit Logs to Support Computer Forensics", 1999, without the evolving key).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from app.domain.signing import ServiceKey

FIRST_PREVIOUS: Final = "0" * 64
"""Stands before the first entry."""

_PURPOSE: Final = "audit"


class Action(StrEnum):
    """What was done."""

    VERIFY = "verify"
    COMPARE = "compare"
    ENROLL = "enroll"
    DELETE_SUBJECT = "delete_subject"
    DELETE_IMAGE = "delete_image"
    READ_IMAGE = "read_image"
    EXPORT = "export"
    SYNC = "sync"
    CREATE_KEY = "create_key"
    REVOKE_KEY = "revoke_key"
    CHANGE_ENCRYPTION = "change_encryption"
    TRAIN = "train"
    CANCEL_TRAINING = "cancel_training"
    RESUME_TRAINING = "resume_training"
    ADD_TRAINING_PHOTOS = "add_training_photos"
    DELETE_TRAINING_PHOTOS = "delete_training_photos"
    PRUNE = "prune"
    ACTIVATE_MODEL = "activate_model"
    PRUNE_MODELS = "prune_models"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: the name of a `Caller`, and the request's id if it was one."""

    name: str
    request_id: str | None = None


COMMAND: Final = Actor("cli")
"""Someone at the command line."""

SERVICE: Final = Actor("service")
"""The service itself, for example when it follows the folder."""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Something that happened; no image, no embedding, no score, no name of a person.

    Attributes:
        subject: Pseudonym of the person it was about.
        outcome: The decision, or the problem code, or what became of it.
        details: Numbers and closed words that explain it.
    """

    action: Action
    actor: Actor
    subject: str | None = None
    outcome: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An event in its place in the chain; `at` is ISO 8601 UTC, `key_id` names the service key."""

    seq: int
    at: str
    actor: str
    action: str
    subject: str | None
    outcome: str | None
    details: Mapping[str, Any]
    key_id: str
    previous: str
    hash: str = ""

    def signed(self, key: ServiceKey) -> str:
        """The hash that this entry must have under `key`."""
        return key.sign(_PURPOSE, {name: getattr(self, name) for name in _SIGNED})


_SIGNED: Final = tuple(name for name in AuditEntry.__dataclass_fields__ if name != "hash")


@dataclass(frozen=True, slots=True)
class Anchor:
    """Number and hash of the last entry that retention has removed; 0 if none was."""

    seq: int = 0
    hash: str = FIRST_PREVIOUS


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What checking the chain gave.

    Attributes:
        entries: How many entries were checked.
        head: Hash of the newest one; note it elsewhere to notice if the end is ever cut off.
        problem: What is wrong, and where; None if nothing is.
    """

    entries: int
    head: str
    problem: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing was changed, removed or put in."""
        return self.problem is None


def check_chain(
    entries: Iterable[AuditEntry], anchor: Anchor, key: ServiceKey, contains: str | None = None
) -> ChainReport:
    """Check numbers, links and hashes of all entries after `anchor`, in their order.

    Args:
        entries: All that are there.
        anchor: What retention has removed before them.
        key: What they are signed with.
        contains: Hash of an entry that must be among them.
    """
    seq, previous, count = anchor.seq, anchor.hash, 0
    pruned = Anchor()
    met = contains in {None, anchor.hash}
    for entry in entries:
        met = met or entry.hash == contains
        problem = _problem(entry, seq + 1, previous, key)
        if problem is not None:
            return ChainReport(count, previous, problem)
        seq, previous, count = entry.seq, entry.hash, count + 1
        if entry.action == Action.PRUNE:
            pruned = Anchor(entry.details["through"], entry.details["hash"])
    if anchor.seq and anchor != pruned:
        # The prune entry is newer than all that it removed, so it is always still there.
        problem = "Entries at the beginning are missing that retention has not removed."
        return ChainReport(count, previous, problem)
    if not met:
        problem = f"No entry has the hash {contains}."
        if anchor.seq:
            problem += f" If it was one of the first {anchor.seq}, retention has removed it."
        return ChainReport(count, previous, problem)
    return ChainReport(count, previous)


def _problem(entry: AuditEntry, seq: int, previous: str, key: ServiceKey) -> str | None:
    if entry.seq != seq:
        return f"Entry {seq} is missing: {entry.seq} comes next."
    if entry.key_id != key.key_id:
        return f"Entry {seq} was signed with another service key ({entry.key_id})."
    if entry.previous != previous:
        return f"Entry {seq} does not follow the one before it."
    if entry.signed(key) != entry.hash:
        return f"Entry {seq} was changed."
    return None
