"""`facetwin keys`: no model is there, and none is needed."""

import hashlib
import json
import os
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from app.cli import run

KEY = re.compile(r"ftw_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")


@pytest.fixture(autouse=True)
def application_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("FACETWIN_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "application_data"
    monkeypatch.setenv("FACETWIN_APPLICATION_DATA_DIR", str(folder))
    monkeypatch.setenv("FACETWIN_MODEL_DIR", str(tmp_path / "no-model"))
    return folder


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert run(["keys", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def create(capsys: pytest.CaptureFixture[str], role: str = "verify", name: str = "door") -> Any:
    return answer(capsys, "create", "--role", role, "--name", name)


@pytest.mark.parametrize("role", ["verify", "enroll", "admin"])
def test_a_key_is_shown_once_and_stored_as_its_digest(
    capsys: pytest.CaptureFixture[str], application_data: Path, role: str
) -> None:
    new = create(capsys, role)

    found = KEY.fullmatch(new["key"])
    assert found
    assert new == {"key_id": found[1], "name": "door", "role": role, "key": new["key"]}
    stored = b"".join(path.read_bytes() for path in application_data.glob("facetwin.sqlite*"))
    assert new["key"].encode() not in stored
    assert new["key"].split("_", 2)[2].encode() not in stored
    assert hashlib.sha256(new["key"].encode()).hexdigest().encode() in stored
    (listed,) = answer(capsys, "list")["keys"]
    assert (listed["key_id"], listed["role"]) == (new["key_id"], role)
    assert "key" not in listed
    assert listed["last_used_at"] is listed["revoked_at"] is None


def test_keys_differ(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = create(capsys), create(capsys)

    assert first["key_id"] != second["key_id"]
    assert first["key"].split("_", 2)[2] != second["key"].split("_", 2)[2]


def test_a_revoked_key_stays_in_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    kept, revoked = create(capsys), create(capsys)

    answered = answer(capsys, "revoke", revoked["key_id"])
    again = answer(capsys, "revoke", revoked["key_id"])

    assert answered["revoked_at"]
    assert again == answered
    listed = {key["key_id"]: key["revoked_at"] for key in answer(capsys, "list")["keys"]}
    assert listed == {kept["key_id"]: None, revoked["key_id"]: answered["revoked_at"]}


def test_the_audit_log_knows(capsys: pytest.CaptureFixture[str], application_data: Path) -> None:
    key_id = create(capsys)["key_id"]
    answer(capsys, "revoke", key_id)
    answer(capsys, "revoke", key_id)

    with sqlite3.connect(application_data / "facetwin.sqlite") as database:
        rows = database.execute("SELECT action, actor, details FROM audit_log ORDER BY seq")
        entries = [(action, actor, json.loads(details)) for action, actor, details in rows]
    database.close()
    details = {"key": key_id, "role": "verify"}
    assert entries == [("create_key", "cli", details), ("revoke_key", "cli", details)]


def test_people_see_the_key_alone_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "create", "--role", "enroll", "--name", "kiosk"]) == 0
    created = capsys.readouterr()
    assert KEY.fullmatch(created.out.strip())
    assert "only this once" in created.err
    assert run(["keys", "list"]) == 0
    shown = capsys.readouterr().out
    assert "kiosk" in shown
    assert created.out.strip() not in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "--role", "god", "--name", "x"], "god"),
        (["create", "--name", "x"], "--role"),
        (["create", "--role", "verify"], "--name"),
        (["create", "--role", "verify", "--name", " "], "1 to 64"),
        (["create", "--role", "verify", "--name", "x" * 65], "1 to 64"),
        (["create", "--role", "verify", "--name", "a\nb"], "printable"),
        (["revoke", "cafecafe"], "no key 'cafecafe'"),
    ],
)
def test_mistakes_are_told(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(["keys", *arguments]) == 3
    assert message in capsys.readouterr().err
    assert answer(capsys, "list") == {"keys": []}


def test_a_key_can_be_made_for_a_service_that_others_can_reach(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACETWIN_HOST", "0.0.0.0")

    assert create(capsys, "admin")["key"]
