"""`facetwin evaluate` on the shipped bundle and the two portraits, changed a little."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from app.cli import run
from tests import pictures

PEOPLE = {"Ann": pictures.ASTRONAUT, "Bob": pictures.HOPPER}


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = run([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture
def lfw(tmp_path: Path) -> Path:
    """A folder as LFW's: three photos of each of two people, and View 2 of two folds."""
    for name, portrait in PEOPLE.items():
        folder = tmp_path / "lfw" / "images" / name
        folder.mkdir(parents=True)
        pixels = pictures.read(portrait)
        for number in (1, 2, 3):
            lighter = cv2.convertScaleAbs(pixels, alpha=0.9 + number / 20).astype(np.uint8)
            (folder / f"{name}_{number:04d}.jpg").write_bytes(pictures.encode(lighter))
    lines = ["2\t1", "Ann\t1\t2", "Ann\t1\tBob\t2", "Bob\t1\t3", "Bob\t3\tAnn\t3"]
    (tmp_path / "lfw" / "pairs.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "lfw"


def test_lfw(capsys: pytest.CaptureFixture[str], lfw: Path, tmp_path: Path) -> None:
    plots = tmp_path / "plots"
    code, report = answer(capsys, "evaluate", "lfw", "--data", str(lfw), "--plots", str(plots))
    assert code == 0
    assert (report["view2"]["accuracy"], report["view2"]["pairs"]) == (1, 4)
    assert report["view2"]["interval"] == {"value": 1, "low": 0, "high": 1}  # two people
    assert report["failures"]["images"] == 6
    assert report["million"]["impostor_pairs"] == 9
    assert report["prominent"]["million"]["genuine_pairs"] == 6
    assert report["plots"] == [str(plots / "roc.svg"), str(plots / "det.svg")]
    assert sorted(p.name for p in plots.iterdir()) == ["det.svg", "roc.svg"]
    assert run(["evaluate", "lfw", "--data", str(lfw.parent)]) == 0
    assert "100.00% +- 0.00%" in capsys.readouterr().out


def test_a_folder_per_person(capsys: pytest.CaptureFixture[str], lfw: Path) -> None:
    (lfw / "images" / "Bob" / "broken.jpg").write_bytes(b"no image")
    (lfw / "images" / "Bob" / "wall.jpg").write_bytes(pictures.encode(pictures.blank()))
    command = ["evaluate", "folder", "--data", str(lfw / "images")]
    code, report = answer(capsys, *command, "--pairs-per-identity", "5")
    assert code == 0
    assert set(report) == {
        "model",
        "face_policy",
        "seed",
        "identities",
        "failures",
        "all_photos",
        "usable_photos",
        "plots",
    }
    assert report["failures"] == {
        "images": 8,
        "invalid": ["Bob/broken.jpg"],
        "not_found": 1,
        "inconclusive": {},
    }
    assert (report["all_photos"]["genuine_pairs"], report["all_photos"]["impostor_pairs"]) == (8, 9)
    assert report["usable_photos"]["equal_error_rate"]["value"] == 0
    assert report["usable_photos"]["tar_at_fmr"]["0.001"] is None
    at = report["usable_photos"]["at_max_fmr"]["0.001"]
    assert (at["fmr"]["value"], at["fnmr"]["value"]) == (0, 0)
    assert run(command) == 0
    shown = capsys.readouterr()
    assert "failures are errors" in shown.out
    assert "invalid image: Bob/broken.jpg" in shown.err
    assert "2 identities are few" in shown.err


def test_listed_pairs(capsys: pytest.CaptureFixture[str], lfw: Path, tmp_path: Path) -> None:
    lines = ["a,b,same", "Ann/Ann_0001.jpg,Ann/Ann_0002.jpg,true"]
    lines += ["Ann/Ann_0001.jpg,Bob/Bob_0001.jpg,0", "Bob/Bob_0001.jpg,Bob/Bob_0003.jpg,1"]
    lines += ["Ann/Ann_0002.jpg,Bob/Bob_0003.jpg,no"]
    (tmp_path / "pairs.csv").write_text("\n".join(lines))
    command = ["evaluate", "pairs", "--pairs", str(tmp_path / "pairs.csv")]
    command += ["--root", str(lfw / "images")]
    code, report = answer(capsys, *command)
    assert code == 0
    assert (report["pairs"], report["failures"]["images"], report["identities"]) == (4, 4, 2)
    assert report["accuracy"]["at_max_fmr"]["0.001"]["value"] == 1
    assert report["accuracy"]["folds"] == 2
    assert run(command) == 0
    assert "4 pairs, 0 with a photo that could not be used" in capsys.readouterr().out
    (tmp_path / "pairs.csv").write_text("\n".join([*lines, "Ann/gone.jpg,Ann/Ann_0001.jpg,1"]))
    assert run(command) == 3
    assert "line 6: there is no file Ann/gone.jpg" in capsys.readouterr().err


def test_robustness(capsys: pytest.CaptureFixture[str], lfw: Path) -> None:
    command = ["evaluate", "robustness", "--data", str(lfw / "images"), "--probes", "2"]
    code, report = answer(capsys, *command)
    assert code == 0
    assert (report["fmr"], report["identities"], report["photos"]) == (0.001, 2, 6)
    assert [row["degradation"] for row in report["degradations"]][:3] == [
        "clean",
        "jpeg_20",
        "blur",
    ]
    assert {row["probes"] for row in report["degradations"]} == {2}
    assert run(command) == 0
    shown = capsys.readouterr()
    assert "unsupported" in shown.out
    assert "2 identities are few" in shown.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lfw", "--data", "."], "holds no LFW"),
        (["folder", "--data", "."], "holds no photos"),
        (["robustness", "--data", "."], "holds no photos"),
        (["folder", "--data", "gone"], "'gone' does not exist"),
        (["folder", "--data", ".", "--pairs-per-identity", "0"], "--pairs-per-identity"),
        (["pairs", "--root", "."], "Missing option '--pairs'"),
        (["robustness", "--data", ".", "--fmr", "2"], "--fmr"),
    ],
)
def test_errors_say_what_is_wrong(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["evaluate", *arguments]) == 3
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_plots_without_matplotlib_say_what_to_install(
    capsys: pytest.CaptureFixture[str], lfw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.training.evaluation.plots.find_spec", lambda _: None)
    folder = ["evaluate", "folder", "--data", str(lfw / "images")]
    assert run([*folder, "--plots", str(lfw / "plots")]) == 3
    assert "pip install 'facetwin[plots]'" in capsys.readouterr().err
    assert run(folder) == 0
