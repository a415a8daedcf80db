import time
from datetime import UTC, datetime, timedelta

import pytest

import app.services.housekeeping as module
from app.services.audit import AuditLog
from app.services.housekeeping import Housekeeping
from tests.dummy_pipeline import photo
from tests.services.world import Session


class _Time:
    """Both clocks, moved by hand."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.stepped = 0.0

    def monotonic(self) -> float:
        return 1000.0 + self.passed

    def time(self) -> float:
        return 1_700_000_000.0 + self.passed + self.stepped


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Time:
    clock = _Time()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    monkeypatch.setattr(time, "time", clock.time)
    return clock


def test_retention_ends_an_hour_after_the_start_and_then_daily(
    session: Session, clock: _Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(AuditLog, "prune", lambda _self, days: calls.append(days))
    keeping = Housekeeping(session.database, session.audit, 30)
    for passed, expected in ((3000, 0), (3700, 1), (50_000, 1), (90_200, 2)):
        clock.passed = passed
        keeping.tidy()
        assert calls == [30] * expected


def test_a_clock_that_steps_does_not_cost_entries(
    session: Session, clock: _Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(AuditLog, "prune", lambda _self, days: calls.append(days))
    keeping = Housekeeping(session.database, session.audit, 30)
    clock.passed, clock.stepped = 3700, 40_000_000
    keeping.tidy()
    assert calls == []
    # A day later the clock still says so: it is believed.
    clock.passed += 86_500
    keeping.tidy()
    assert calls == [30]


def test_a_clock_that_was_wrong_since_the_start_does_not_cost_all_entries_in_an_hour(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.enroll("anna", photo("anna"))
    clock = _Time()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    monkeypatch.setattr(module, "datetime", _NextCentury)
    keeping = Housekeeping(session.database, session.audit, 30)
    clock.passed = 3700
    keeping.tidy()
    assert [entry.action for entry in session.audit.tail(10)] == ["enroll"]


class _NextCentury(datetime):
    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return datetime.now(UTC) + timedelta(days=36_500)


def test_the_log_is_emptied_when_a_deletion_could_not(session: Session) -> None:
    keeping = Housekeeping(session.database, session.audit, 0)
    session.enroll("anna", photo("anna"))
    assert session.database.log_bytes > 0
    keeping.tidy()
    assert session.database.log_bytes == 0


def test_it_stops_at_once(session: Session) -> None:
    keeping = Housekeeping(session.database, session.audit, 0)
    keeping.start()
    started = time.monotonic()
    keeping.close()
    assert time.monotonic() - started < module.PAUSE_SECONDS
