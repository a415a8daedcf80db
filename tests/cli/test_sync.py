"""`facetwin sync` on the shipped bundle."""

import json
import shutil
from pathlib import Path

import pytest

from app.cli import run
from app.storage.layout import MARKER
from tests import pictures
from tests.cli.test_cli import answer


def test_sync_reports_and_asks_before_it_lets_most_photos_go(
    capsys: pytest.CaptureFixture[str], application_data: Path
) -> None:
    folder = application_data / "verification_images"
    folder.mkdir(parents=True)
    shutil.copy(pictures.ASTRONAUT, folder / "me.jpg")
    (folder / "wall.jpg").write_bytes(pictures.encode(pictures.blank()))
    code, report = answer(capsys, "sync")
    assert code == 0
    assert (report["added"], report["embedded"], report["degraded"]) == (1, 1, [])
    assert [file["path"] for file in report["skipped"]] == ["wall.jpg"]
    assert (folder / MARKER).exists()
    assert run(["sync"]) == 0
    shown = capsys.readouterr().out
    assert "0 added, 0 removed, 0 embedded, 1 unchanged" in shown
    assert "wall.jpg: NO_FACE" in shown

    (folder / "me.jpg").unlink()
    assert run(["sync", "--json"]) == 3
    captured = capsys.readouterr()
    assert [p["code"] for p in json.loads(captured.out)["degraded"]] == ["files_missing"]
    assert "--accept-removals" in captured.err
    # Other commands go on, and warn.
    code, _ = answer(capsys, "verify", str(pictures.ASTRONAUT))
    assert code == 0
    code, report = answer(capsys, "sync", "--accept-removals")
    assert (code, report["removed"], report["degraded"]) == (0, 1, [])
    assert answer(capsys, "sync")[0] == 0


def test_without_its_disk_a_command_can_verify_but_not_enroll(
    capsys: pytest.CaptureFixture[str], application_data: Path
) -> None:
    photo = str(pictures.ASTRONAUT)
    assert run(["enroll", photo]) == 0
    shutil.rmtree(application_data / "verification_images")
    capsys.readouterr()
    assert answer(capsys, "verify", photo)[0] == 0
    for command in (
        ["enroll", str(pictures.HOPPER)],
        ["subjects", "delete", "default", "--yes"],
    ):
        assert run(command) == 3
        assert "its folder is missing" in capsys.readouterr().err
