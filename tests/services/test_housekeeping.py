import time

import pytest

import app.services.housekeeping as module
from app.services.audit import AuditLog
from app.services.housekeeping import Housekeeping
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


def test_the_log_is_emptied_when_a_deletion_could_not(session: Session) -> None:
    keeping = Housekeeping(session.database, session.audit, 0)
    session.database.has_traces = True
    keeping.tidy()
    assert not session.database.has_traces


def test_it_stops_at_once(session: Session) -> None:
    keeping = Housekeeping(session.database, session.audit, 0)
    keeping.start()
    started = time.monotonic()
    keeping.close()
    assert time.monotonic() - started < module.PAUSE_SECONDS
