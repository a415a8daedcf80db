"""`facetwin data check` on the shipped bundle and pictures made of the two portraits."""

import json
import sys
from pathlib import Path

import pytest

from app.cli import run
from app.training.data import enough
from tests.pictures import encode
from tests.training.data.folders import portrait, put, shaded


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six anchors and positives, and one other person."""
    data = tmp_path / "data"
    for i in (1, 3, 4):
        put(data, f"anchor/{i}.jpg", shaded(portrait("astronaut"), i))
        put(data, f"positive/{i}.jpg", shaded(portrait("astronaut"), 10 + i))
    put(data, "negative/Grace/1.jpg", portrait("hopper"))
    put(data, "anchor/text.jpg", b"no picture")
    put(data, "anchor/phone.HEIC", b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")
    monkeypatch.setenv("FACETWIN_DATA_DIR", str(data))
    return data


def test_problems_are_told_in_words_and_by_the_exit_code(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "check"]) == 3
    said = capsys.readouterr().out
    assert "anchor/" in said
    assert "rejected anchor/text.jpg: unsupported_media_type\n" in said
    assert "rejected anchor/phone.HEIC: unsupported_media_type (convert it to JPEG)\n" in said
    assert "problem: negative/ shows 1 people" in said
    assert "(too_few_people)" in said
    assert "Training would refuse these photos." in said


def test_good_photos_give_success(
    photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        enough.Enough.__init__, "__defaults__", (4, 1, 1, 50, 400, 0.5, 1.0, 0.2, 0.5)
    )
    assert run(["data", "check", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["problems"] == []
    assert report["roles"]["anchor"]["rejected"] == {"unsupported_media_type": 2}
    assert report["roles"]["negative"]["usable"] == 1
    assert run(["data", "check"]) == 0
    assert "can be trained on" in capsys.readouterr().out


def test_the_folder_can_be_named_and_what_was_seen_is_kept(
    photos: Path, application_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    put(other, "anchor/1.jpg", encode(portrait("hopper")))
    assert run(["data", "check", "--data-dir", str(other), "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert report["roles"]["anchor"]["images"] == 1
    assert {p["code"] for p in report["problems"]} >= {"positive_empty", "negative_empty"}
    assert len(list((application_data / "training" / "crops").rglob("*-*"))) == 3


def test_a_subjects_own_folders_are_looked_at(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(photos, "anchor/grace/1.jpg", portrait("hopper"))
    assert run(["data", "check", "--subject", "Grace", "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert report["roles"]["anchor"]["images"] == 1
    (hidden,) = (w for w in report["warnings"] if w["code"] == "photos_left_out")
    assert hidden["message"].startswith("8 photos ")


def test_what_it_takes_depends_on_the_preset(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for preset, few in (("finetune", True), ("compact", False)):
        assert run(["data", "check", "--preset", preset, "--json"]) == 3
        codes = {p["code"] for p in json.loads(capsys.readouterr().out)["problems"]}
        assert ("too_few_owner_photos" in codes) is few
        assert "too_few_people" in codes


def test_it_needs_no_tensorflow(photos: Path) -> None:
    import subprocess

    code = (
        "import sys; from app.cli import run; run(['data', 'check', '--json']); "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
