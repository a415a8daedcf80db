"""The audit log beside the gallery: what is in it, when, and what never is."""

import sqlite3
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from sqlalchemy.exc import OperationalError

import app.services.audit as audit_module
from app.domain import clock
from app.domain.audit import Actor, AuditEntry
from app.domain.errors import (
    EnrollmentRejectedError,
    NoFaceError,
    StorageError,
    SubjectNotFoundError,
)
from app.services.audit import AuditLog
from tests.api.gated import wait_until
from tests.dummy_pipeline import photo
from tests.services.world import OPTIONS, SERVICE_KEY, Session, World

ACTOR = Actor("key:1a2b", "request-1")


def entries(session: Session) -> list[AuditEntry]:
    session.audit.flush()
    assert session.audit.verify().ok
    return session.audit.tail(1000)


def essence(session: Session) -> list[tuple[str, str | None]]:
    return [(entry.action, entry.outcome) for entry in entries(session)]


def test_who_did_what_is_written_down(session: Session) -> None:
    session.enrollment.enroll("anna", session.uploads(photo("anna")), actor=ACTOR)
    session.verification.verify(photo("anna", 2), "anna", OPTIONS, ACTOR)
    session.verification.verify(photo("bob"), "ANNA", OPTIONS, ACTOR)
    session.verification.compare(photo("anna"), photo("bob"), OPTIONS, ACTOR)
    session.gallery.delete_subject("anna", ACTOR)
    found = entries(session)
    # Verdicts are numbered when they are written, which is a moment later.
    assert [(e.action, e.outcome) for e in sorted(found, key=lambda e: e.action)] == [
        ("compare", "no_match"),
        ("delete_subject", "deleted"),
        ("enroll", "enrolled"),
        ("verify", "match"),
        ("verify", "no_match"),
    ]
    assert {e.actor for e in found} == {"key:1a2b"}
    assert {e.details["request_id"] for e in found} == {"request-1"}
    pseudonym = SERVICE_KEY.pseudonym("anna")
    assert {e.subject for e in found if e.action != "compare"} == {pseudonym}
    assert {e.subject for e in found if e.action == "compare"} == {None}


def test_failures_are_written_down_with_their_code(session: Session) -> None:
    with pytest.raises(SubjectNotFoundError):
        session.verify("nobody", photo("anna"))
    with pytest.raises(EnrollmentRejectedError):
        session.enroll("anna", b"no image")
    session.enroll("anna", photo("anna"))
    with pytest.raises(NoFaceError):
        session.verify("anna", photo("anna", faces=0))
    assert sorted(map(str, essence(session))) == [
        "('enroll', 'enrolled')",
        "('enroll', 'enrollment_rejected')",
        "('verify', 'no_face')",
        "('verify', 'subject_not_found')",
    ]


def test_no_name_no_score_and_no_embedding_is_in_it(session: Session) -> None:
    session.enroll("Anna-Maria", photo("anna"))
    result = session.verify("Anna-Maria", photo("anna", 2))
    text = repr([asdict(entry) for entry in entries(session)]).casefold()
    assert "anna" not in text
    assert f"{result.verdict.score:.4f}" not in text
    assert "vector" not in text


def test_an_enrolment_and_its_entry_are_one(session: Session) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AuditLog, "append", _refuse)
        with pytest.raises(StorageError):
            session.enroll("anna", photo("anna"))
        assert session.gallery.subjects() == []
    session.enroll("anna", photo("anna"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AuditLog, "append", _refuse)
        with pytest.raises(StorageError):
            session.gallery.delete_subject("anna")
    assert session.gallery.references("anna")[0] == "anna"
    assert essence(session) == [("enroll", "enrolled")]


def _refuse(*_: object) -> None:
    raise StorageError("The disk that holds the database is full. Free some space.")


def test_verdicts_are_written_soon_without_being_asked(session: Session) -> None:
    session.enroll("anna", photo("anna"))
    for i in range(5):
        session.verify("anna", photo("anna", i))
    session.audit.close()
    assert essence(session).count(("verify", "match")) == 5


def test_entries_wait_while_the_database_cannot_be_written(session: Session) -> None:
    session.enroll("anna", photo("anna"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.services.audit.AuditRows.append", _locked)
        session.verify("anna", photo("anna", 2))
        with pytest.raises(StorageError):
            session.audit.flush()
        problems = session.gallery.health().degraded
    assert [(problem.code.value, "1 entries" in problem.message) for problem in problems] == [
        ("audit_failing", True)
    ]
    session.audit.flush()
    assert session.gallery.health().degraded == ()
    assert essence(session) == [("enroll", "enrolled"), ("verify", "match")]


def _locked(*_: object) -> None:
    raise OperationalError("INSERT", {}, sqlite3.OperationalError("locked"))


def test_an_error_nobody_foresaw_loses_nothing_and_does_not_end_the_thread(
    session: Session,
) -> None:
    session.enroll("anna", photo("anna"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.services.audit.AuditRows.append", _crash)
        session.verify("anna", photo("anna", 2))
        wait_until(lambda: session.audit.failing)
    wait_until(lambda: not session.audit.failing)
    assert essence(session) == [("enroll", "enrolled"), ("verify", "match")]


def _crash(*_: object) -> None:
    raise UnicodeEncodeError("utf-8", "", 0, 1, "a fault")


def test_a_flush_waits_for_the_batch_that_is_on_its_way(session: Session) -> None:
    session.enroll("anna", photo("anna"))
    with session.database.write_apart():
        session.verify("anna", photo("anna", 2))
        wait_until(lambda: not session.audit.waiting)
        flush = Thread(target=session.audit.flush)
        flush.start()
        flush.join(0.1)
        assert flush.is_alive()
    flush.join()
    assert essence(session) == [("enroll", "enrolled"), ("verify", "match")]


def test_the_queue_is_bounded(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    session.enroll("anna", photo("anna"))
    monkeypatch.setattr(audit_module, "MAX_QUEUED", 3)
    monkeypatch.setattr(audit_module, "Thread", _Idle)
    for i in range(5):
        session.verify("anna", photo("anna", i))
    assert session.audit.lost == 2
    assert len(entries(session)) == 1 + 3


class _Idle:
    def __init__(self, **_: object) -> None:
        pass

    def start(self) -> None:
        pass

    def join(self) -> None:
        pass


def test_many_writers_keep_one_chain(world: World) -> None:
    sessions = [world.open(), world.open()]
    sessions[0].enroll("anna", photo("anna"))

    def work(session: Session, person: str) -> None:
        for i in range(10):
            session.verify("anna", photo(person, i))
            if i % 3 == 0:
                session.enroll(person, photo(person, f"own-{i}"))
                session.audit.flush()

    threads = [Thread(target=work, args=(sessions[i % 2], f"p{i}")) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for session in sessions:
        session.audit.close()
    found = entries(sessions[0])
    assert [e.seq for e in found] == list(range(1, 1 + 1 + 4 * 10 + 4 * 4))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET outcome = 'match'",
        "DELETE FROM audit_log WHERE seq = 1",
        "DELETE FROM audit_log",
    ],
)
def test_the_database_itself_refuses_changes(
    world: World, session: Session, statement: str
) -> None:
    session.enroll("anna", photo("anna"))
    with (
        closing(sqlite3.connect(world.root / "facetwin.sqlite")) as other,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        other.execute(statement)
    assert len(entries(session)) == 1


def test_whoever_drops_the_triggers_is_found_out(world: World, session: Session) -> None:
    session.enroll("anna", photo("anna"))
    session.enroll("anna", photo("anna", 2))
    with closing(sqlite3.connect(world.root / "facetwin.sqlite")) as other, other:
        other.execute("DROP TRIGGER audit_log_is_never_changed")
        other.execute("UPDATE audit_log SET actor = 'somebody' WHERE seq = 1")
    report = session.audit.verify()
    assert report.problem == "Entry 1 was changed."


class _Clock(datetime):
    offset = timedelta()

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return datetime.now(UTC) + cls.offset


def test_retention_removes_the_old_and_leaves_a_chain(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_module, "datetime", _Clock)
    monkeypatch.setattr(clock, "datetime", _Clock)
    for days in (-400, -380, -10):
        monkeypatch.setattr(_Clock, "offset", timedelta(days=days))
        session.enroll("anna", photo("anna", days))
    monkeypatch.setattr(_Clock, "offset", timedelta())

    assert session.audit.prune(0) == 0
    assert session.audit.prune(365) == 2
    assert essence(session) == [("enroll", "enrolled"), ("prune", None)]
    assert session.audit.prune(365) == 0
    session.enroll("anna", photo("anna", "later"))
    assert len(entries(session)) == 3


def test_retention_keeps_what_was_logged_under_a_clock_that_was_set_back(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_module, "datetime", _Clock)
    monkeypatch.setattr(clock, "datetime", _Clock)
    session.enroll("anna", photo("anna"))
    monkeypatch.setattr(_Clock, "offset", timedelta(days=-1000))
    session.enroll("anna", photo("anna", "clock set back"))
    monkeypatch.setattr(_Clock, "offset", timedelta())
    assert session.audit.prune(365) == 0
    assert len(entries(session)) == 2
