"""The chain of the audit log: every kind of tampering shows."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.domain.audit import FIRST_PREVIOUS, Action, Anchor, AuditEntry, check_chain
from app.domain.signing import ServiceKey

KEY = ServiceKey(b"0123456789abcdef0123456789abcdef")
OTHER = ServiceKey(b"another key, also of 32 bytes....")


def entry(seq: int, previous: str, key: ServiceKey = KEY, **changes: Any) -> AuditEntry:
    unsigned = AuditEntry(
        seq=seq,
        at=f"2026-11-20T09:30:0{seq % 10}.000+00:00",
        actor="key:1",
        action=Action.VERIFY.value,
        subject=KEY.pseudonym("anna"),
        outcome="match",
        details={"max_fmr": 0.001},
        key_id=key.key_id,
        previous=previous,
    )
    changed = replace(unsigned, **changes)
    return replace(changed, hash=changed.signed(key))


def chain(length: int) -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    previous = FIRST_PREVIOUS
    for seq in range(1, length + 1):
        entries.append(entry(seq, previous))
        previous = entries[-1].hash
    return entries


def test_an_untouched_chain_is_good() -> None:
    entries = chain(5)
    report = check_chain(entries, Anchor(), KEY)
    assert report.ok
    assert (report.entries, report.head) == (5, entries[-1].hash)
    assert check_chain([], Anchor(), KEY).head == FIRST_PREVIOUS


TAMPERING: dict[str, Callable[[list[AuditEntry]], list[AuditEntry]]] = {
    "changed": lambda es: [*es[:2], replace(es[2], outcome="no_match"), *es[3:]],
    "does not follow": lambda es: [*es[:2], entry(3, "f" * 64), *es[3:]],
    "missing: 4": lambda es: [*es[:2], *es[3:]],
    "missing: 2": lambda es: es[1:],
    "was signed with another": lambda es: [*es[:2], entry(3, es[1].hash, OTHER), *es[3:]],
}


@pytest.mark.parametrize("problem", TAMPERING)
def test_tampering_is_found(problem: str) -> None:
    report = check_chain(TAMPERING[problem](chain(5)), Anchor(), KEY)
    assert not report.ok
    assert problem in (report.problem or "")


@pytest.mark.parametrize("field", [f for f in AuditEntry.__dataclass_fields__ if f != "hash"])
def test_every_field_is_signed(field: str) -> None:
    good = entry(1, FIRST_PREVIOUS)
    changes: dict[str, Any] = {field: {"seq": 2, "details": {"max_fmr": 0.01}}.get(field, "x")}
    assert replace(good, **changes).signed(KEY) != good.hash


def test_without_the_key_nobody_can_forge_an_entry() -> None:
    forged = replace(entry(1, FIRST_PREVIOUS, OTHER), key_id=KEY.key_id)
    assert not check_chain([forged], Anchor(), KEY).ok


def test_a_cut_off_end_shows_against_a_noted_hash() -> None:
    entries = chain(5)
    assert check_chain(entries[:4], Anchor(), KEY).ok
    report = check_chain(entries[:4], Anchor(), KEY, contains=entries[4].hash)
    assert "No entry has the hash" in (report.problem or "")
    assert check_chain(entries, Anchor(), KEY, contains=entries[1].hash).ok


def test_what_retention_removed_is_not_missing_but_what_someone_else_did_is() -> None:
    entries = chain(3)
    through = entries[1]
    details = {"through": 2, "hash": through.hash}
    prune = entry(4, entries[2].hash, action=Action.PRUNE.value, details=details)
    kept = [entries[2], prune]
    assert check_chain(kept, Anchor(2, through.hash), KEY).ok
    # Somebody moved the anchor and removed one entry more.
    report = check_chain(kept[1:], Anchor(3, entries[2].hash), KEY)
    assert "beginning" in (report.problem or "")


def test_pseudonyms_differ_by_person_and_by_service() -> None:
    assert KEY.pseudonym("anna") == KEY.pseudonym("anna")
    assert len({KEY.pseudonym("anna"), KEY.pseudonym("bob"), OTHER.pseudonym("anna")}) == 3


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        ServiceKey(b"short")
