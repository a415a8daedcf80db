"""`facetwin encryption`: no model is there, and none is needed."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli import run
from app.runtime import serving_lock
from app.settings import Settings
from app.storage.cipher import read_cipher
from tests.dummy_pipeline import photo
from tests.services.world import SERVICE_SECRET, World


@pytest.fixture(autouse=True)
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in [name for name in os.environ if name.startswith("FACETWIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FACETWIN_APPLICATION_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("FACETWIN_MODEL_DIR", str(tmp_path / "no-model"))
    monkeypatch.setenv("FACETWIN_SERVICE_KEY", SERVICE_SECRET)
    world = World(tmp_path)
    session = world.open()
    session.enroll("alice", photo("alice"), photo("alice", 1))
    session.gallery.sync()
    world.close()
    yield world
    world.close()


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = run(["encryption", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def new_key(capsys: pytest.CaptureFixture[str]) -> str:
    code, made = answer(capsys, "new-key")
    assert code == 0
    return str(made["key"])


def key_id(key: str) -> str:
    cipher = read_cipher(key)
    assert cipher is not None
    return cipher.key_id


def use(key_id: str | None, count: int, *, configured: bool, current: bool = False) -> Any:
    return {
        "key_id": key_id,
        "photos": count,
        "embeddings": count,
        "configured": configured,
        "current": current,
    }


def test_a_key_is_printed_alone_and_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["encryption", "new-key"]) == 0
    shown = capsys.readouterr()
    assert shown.out.strip() != new_key(capsys)
    assert read_cipher(shown.out.strip()) is not None
    assert "are lost" in shown.err
    assert shown.out.strip() not in shown.err


def test_on_to_another_key_and_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    old, new = new_key(capsys), new_key(capsys)
    code, status = answer(capsys, "status")
    assert (code, status["encrypted"], status["complete"]) == (0, False, False)
    assert status["keys"] == [use(None, 2, configured=False)]

    monkeypatch.setenv("FACETWIN_ENCRYPTION_KEY", old)
    code, status = answer(capsys, "rotate")
    assert (code, status["encrypted"], status["complete"]) == (0, True, True)
    assert use(key_id(old), 2, configured=True, current=True) in status["keys"]
    assert use(None, 0, configured=False) in status["keys"]

    monkeypatch.setenv("FACETWIN_ENCRYPTION_KEY", f"{new},{old}")
    code, status = answer(capsys, "status")
    assert (code, status["complete"]) == (0, False)
    assert use(key_id(old), 2, configured=True) in status["keys"]
    assert use(key_id(new), 0, configured=True, current=True) in status["keys"]
    assert answer(capsys, "rotate")[0] == 0

    monkeypatch.delenv("FACETWIN_ENCRYPTION_KEY")
    code, status = answer(capsys, "status")
    assert (code, status["encrypted"]) == (0, True)
    assert status["keys"] == [
        use(key_id(new), 2, configured=False),
        use(None, 0, configured=False),
    ]
    assert run(["encryption", "disable"]) == 3
    assert key_id(new) in capsys.readouterr().err

    monkeypatch.setenv("FACETWIN_ENCRYPTION_KEY", new)
    code, status = answer(capsys, "disable")
    assert (code, status["encrypted"]) == (0, False)
    session, report = world.restart()
    assert (report.unchanged, report.embedded) == (2, 0)
    assert session.verify("alice", photo("alice", "probe")).verdict.verified


def test_what_still_needs_the_old_key_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    old, new = new_key(capsys), new_key(capsys)
    monkeypatch.setenv("FACETWIN_ENCRYPTION_KEY", old)
    assert run(["encryption", "rotate"]) == 0
    place = world.images / world.files()[0]
    data = place.read_bytes()
    place.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    monkeypatch.setenv("FACETWIN_ENCRYPTION_KEY", f"{new},{old}")
    capsys.readouterr()
    assert run(["encryption", "rotate"]) == 3
    shown = capsys.readouterr()
    assert "still needs another key" in shown.err
    assert key_id(old) in shown.out
    # So the old key stays needed until the photo is repaired.
    monkeypatch.setenv("FACETWIN_ENCRYPTION_KEY", new)
    assert run(["encryption", "rotate"]) == 3
    assert f"it needs the key {key_id(old)}" in capsys.readouterr().err
    place.write_bytes(data)
    monkeypatch.setenv("FACETWIN_ENCRYPTION_KEY", f"{new},{old}")
    assert run(["encryption", "rotate"]) == 0
    monkeypatch.setenv("FACETWIN_ENCRYPTION_KEY", new)
    assert run(["encryption", "rotate"]) == 0


@pytest.mark.parametrize(
    ("command", "message"),
    [("rotate", "A new key is brought in only while no server"), ("disable", "turned off only")],
)
def test_a_running_server_is_not_locked_out(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    message: str,
) -> None:
    key = new_key(capsys)
    monkeypatch.setenv("FACETWIN_ENCRYPTION_KEY", key)
    with serving_lock(Settings()):
        assert run(["encryption", command]) == 3
        shown = capsys.readouterr().err
        assert message in shown
        assert "Another server already serves" in shown
    code, status = answer(capsys, "status")
    assert (code, status["encrypted"]) == (0, False)


def test_beside_a_server_with_the_same_key_rotation_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACETWIN_ENCRYPTION_KEY", new_key(capsys))
    assert run(["encryption", "rotate"]) == 0
    capsys.readouterr()
    with serving_lock(Settings()):
        code, status = answer(capsys, "rotate")
    assert (code, status["complete"]) == (0, True)


@pytest.mark.parametrize("command", ["status", "rotate", "disable"])
def test_a_malformed_key_is_not_repeated(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("FACETWIN_ENCRYPTION_KEY", "my secret passphrase")
    assert run(["encryption", command]) == 3
    shown = capsys.readouterr()
    assert "FACETWIN_ENCRYPTION_KEY is not a key" in shown.err
    assert "passphrase" not in shown.err + shown.out


def test_rotation_needs_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["encryption", "rotate"]) == 3
    assert "Set FACETWIN_ENCRYPTION_KEY" in capsys.readouterr().err


def test_without_a_gallery_nothing_is_made(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACETWIN_APPLICATION_DATA_DIR", str(tmp_path / "elsewhere"))
    assert run(["encryption", "status"]) == 3
    assert "does not exist" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()


def test_people_see_a_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key(capsys)
    monkeypatch.setenv("FACETWIN_ENCRYPTION_KEY", key)
    assert run(["encryption", "rotate"]) == 0
    shown = capsys.readouterr()
    assert key_id(key) in shown.out
    assert "encrypts" in shown.out
    assert key not in shown.out + shown.err
