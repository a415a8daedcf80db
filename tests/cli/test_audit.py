"""`facetwin audit`, receipts and exports, on the shipped bundle and a gallery of its own."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from app.cli import run
from app.inference.bundle import load_active
from tests import pictures
from tests.conftest import MODEL_DIR

ASTRONAUT, HOPPER = str(pictures.ASTRONAUT), str(pictures.HOPPER)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    capsys.readouterr()
    code = run([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_log_tells_of_commands_and_is_unbroken(
    capsys: pytest.CaptureFixture[str], application_data: Path
) -> None:
    run(["enroll", ASTRONAUT, "--subject", "Eileen"])
    assert run(["verify", HOPPER, "--subject", "eileen"]) == 1
    code, log = answer(capsys, "audit", "tail")
    events = [(e["actor"], e["action"], e["outcome"]) for e in log["entries"]]
    assert (code, events) == (0, [("cli", "enroll", "enrolled"), ("cli", "verify", "no_match")])
    assert "Eileen" not in json.dumps(log)
    assert len(answer(capsys, "audit", "tail", "--subject", "EILEEN")[1]["entries"]) == 2
    assert answer(capsys, "audit", "tail", "--subject", "bob")[1]["entries"] == []
    code, report = answer(capsys, "audit", "verify")
    assert (code, report["ok"], report["entries"]) == (0, True, 2)
    assert report["head"] == log["entries"][-1]["hash"]
    assert run(["audit", "verify", "--contains", report["head"]]) == 0
    assert run(["audit", "verify", "--contains", "f" * 64]) == 3

    with closing(sqlite3.connect(application_data / "facetwin.sqlite")) as other, other:
        other.execute("DROP TRIGGER audit_log_is_never_changed")
        other.execute("UPDATE audit_log SET outcome = 'match' WHERE seq = 2")
    code, report = answer(capsys, "audit", "verify")
    assert (code, report["problem"]) == (3, "Entry 2 was changed.")


def test_a_receipt_is_kept_and_can_be_checked_later(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(["enroll", ASTRONAUT, "--subject", "Eileen"])
    kept = tmp_path / "receipt.json"
    code, deleted = answer(capsys, "subjects", "delete", "Eileen", "--yes", "--receipt", str(kept))
    assert (code, deleted["deleted"]) == (0, 1)
    counts = {"references": 1, "embeddings": 1, "files": 1, "training_files": 0}
    assert deleted["receipt"]["removed"] == counts
    assert json.loads(kept.read_text("utf-8")) == deleted["receipt"]
    assert kept.stat().st_mode & 0o777 == 0o600
    assert answer(capsys, "audit", "receipt", str(kept)) == (0, {"genuine": True})
    # The answer of the API holds the receipt, and is understood too.
    kept.write_text(json.dumps(deleted), "utf-8")
    assert run(["audit", "receipt", str(kept)]) == 0
    assert run(["audit", "verify", "--contains", deleted["receipt"]["audit_hash"]]) == 0

    deleted["receipt"]["removed"]["files"] = 0
    kept.write_text(json.dumps(deleted), "utf-8")
    assert answer(capsys, "audit", "receipt", str(kept)) == (3, {"genuine": False})


def test_who_is_known_by_training_photos_alone_is_deleted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "data" / "anchor" / "Eileen"
    folder.mkdir(parents=True)
    (folder / "1.jpg").write_bytes(b"x")
    assert run(["subjects", "delete", "Eileen", "--yes"]) == 0
    assert "and 1 files of training" in " ".join(capsys.readouterr().out.split())
    assert not folder.exists()


def test_models_that_were_trained_on_the_person_are_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "model"
    models.mkdir()
    active = (MODEL_DIR / "active").read_text("utf-8")
    (models / "active").write_text(active, "utf-8")
    (models / active.strip()).symlink_to(MODEL_DIR / active.strip())
    (models / "mine-1").mkdir()
    (models / "mine-1" / "calibration.json").write_text('{"subject": "eileen"}', "utf-8")
    monkeypatch.setenv("FACETWIN_MODEL_DIR", str(models))
    run(["enroll", ASTRONAUT, "--subject", "Eileen"])
    capsys.readouterr()
    assert run(["subjects", "delete", "Eileen", "--yes"]) == 0
    shown = " ".join(capsys.readouterr().err.split())
    assert "Trained on photos of Eileen, and can't unlearn them: mine-1." in shown


def test_a_lost_service_key_is_not_replaced_unasked(
    capsys: pytest.CaptureFixture[str], application_data: Path
) -> None:
    run(["enroll", ASTRONAUT, "--subject", "Eileen"])
    key = application_data / "service.key"
    assert key.stat().st_mode & 0o777 == 0o600
    secret = key.read_bytes()
    key.unlink()
    assert run(["audit", "verify"]) == 3
    assert "renew-key" in capsys.readouterr().err
    assert not key.exists()
    assert run(["audit", "renew-key"]) == 0
    code, report = answer(capsys, "audit", "verify")
    assert (code, "another service key" in report["problem"]) == (3, True)
    key.write_bytes(secret)
    assert run(["audit", "verify"]) == 0


def test_keys_can_be_made_on_a_fresh_machine(
    application_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACETWIN_DATABASE_URL", f"sqlite:///{tmp_path}/elsewhere.sqlite")
    assert run(["keys", "create", "--role", "verify", "--name", "door"]) == 0
    assert (application_data / "service.key").exists()


@pytest.mark.parametrize("content", ["no json", "[]", "3"])
def test_what_is_no_receipt_is_told_so(tmp_path: Path, content: str) -> None:
    path = tmp_path / "receipt.json"
    path.write_text(content, "utf-8")
    assert run(["audit", "receipt", str(path)]) == 3


def test_nobody_is_deleted_if_the_receipt_cannot_be_kept(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(["enroll", ASTRONAUT, "--subject", "Eileen"])
    taken = tmp_path / "taken.json"
    taken.write_text("mine", "utf-8")
    assert run(["subjects", "delete", "Eileen", "--yes", "--receipt", str(taken)]) == 3
    assert taken.read_text("utf-8") == "mine"
    assert [s["subject"] for s in answer(capsys, "subjects", "list")[1]["subjects"]] == ["Eileen"]
    # A receipt of nothing is not left behind either.
    nobody = tmp_path / "nobody.json"
    assert run(["subjects", "delete", "nobody", "--yes", "--receipt", str(nobody)]) == 3
    assert not nobody.exists()


def test_an_export_is_a_private_zip_file(tmp_path: Path) -> None:
    run(["enroll", ASTRONAUT, "--subject", "Eileen"])
    archive = tmp_path / "eileen.zip"
    assert run(["subjects", "export", "eileen", "--to", str(archive)]) == 0
    assert archive.stat().st_mode & 0o777 == 0o600
    with ZipFile(archive) as files:
        document = json.loads(files.read("person.json"))
    assert document["subject"] == "Eileen"
    dimension = load_active(MODEL_DIR).manifest.embedding.dimension
    assert len(document["references"][0]["embeddings"][0]["vector"]) == dimension
    assert run(["subjects", "export", "eileen", "--to", str(archive)]) == 3
    assert run(["subjects", "export", "nobody", "--to", str(tmp_path / "n.zip")]) == 3
