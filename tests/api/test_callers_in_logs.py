"""A log line names who called, by the id of the key, and why a call was refused."""

import json
import logging
from typing import Any

import pytest
from pydantic import SecretStr

from app.settings import Settings
from tests.api.service import Service

VERIFY, ADMIN = "a-key-of-role-verify", "a-key-of-role-admin"
WRONG = "a-key-that-is-wrong"


def _lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    events = [r.msg for r in caplog.records if r.name == "facetwin.requests"]
    return [e for e in events if isinstance(e, dict) and e["event"] == "request"]


def _told(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str, str | None]]:
    return [(e["status"], e["caller"], e.get("problem")) for e in _lines(caplog)]


@pytest.fixture
def keyed(settings: Settings) -> Settings:
    keys = (SecretStr(f"verify:{VERIFY}"), SecretStr(ADMIN))
    return settings.model_copy(update={"api_keys": keys, "rate_limit_failures": 6})


def test_calls_are_told_by_key_and_denials_by_their_problem(
    keyed: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with Service(keyed) as service, caplog.at_level(logging.INFO, "facetwin"):
        for key in (ADMIN, VERIFY, WRONG, WRONG):
            service.get("/subjects", headers={"X-API-Key": key})
        service.get("/healthz")

    assert _told(caplog) == [
        (200, "key:env-2", None),
        (403, "key:env-1", "forbidden"),
        (401, "nobody", "unauthorized"),
        (429, "nobody", "rate_limited"),
        (200, "nobody", None),
    ]
    text = json.dumps(_lines(caplog), default=str)
    assert not any(key in text for key in (VERIFY, ADMIN, WRONG))


def test_a_key_over_its_rate_is_named(keyed: Settings, caplog: pytest.LogCaptureFixture) -> None:
    limited = keyed.model_copy(update={"rate_limit_per_key": 6})
    with Service(limited) as service, caplog.at_level(logging.INFO, "facetwin"):
        for _ in range(2):
            service.get("/subjects", headers={"X-API-Key": ADMIN})

    assert _told(caplog) == [(200, "key:env-2", None), (429, "key:env-2", "rate_limited")]


@pytest.mark.parametrize(("anonymous", "caller"), [(False, "local"), (True, "anonymous")])
def test_without_keys_it_says_so(
    settings: Settings, caplog: pytest.LogCaptureFixture, anonymous: bool, caller: str
) -> None:
    host = {"host": "0.0.0.0"} if anonymous else {}
    open_ = settings.model_copy(update={"allow_anonymous": anonymous, **host})
    with Service(open_) as service, caplog.at_level(logging.INFO, "facetwin"):
        service.get("/subjects")

    assert _told(caplog) == [(200, caller, None)]
