"""The command line on the shipped bundle and a gallery of its own."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.cli import run
from tests import pictures

ASTRONAUT, HOPPER = str(pictures.ASTRONAUT), str(pictures.HOPPER)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = run([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_enroll_verify_list_delete(
    capsys: pytest.CaptureFixture[str], application_data: Path
) -> None:
    code, enrolled = answer(capsys, "enroll", ASTRONAUT, "--subject", "Eileen")
    assert (code, enrolled["references"]) == (0, 1)
    assert len(list((application_data / "verification_images" / "Eileen").glob("*.jpg"))) == 1
    code, verdict = answer(capsys, "verify", ASTRONAUT, "--subject", "eileen")
    assert (code, verdict["decision"], verdict["subject"]) == (0, "match", "Eileen")
    assert len(verdict["references"]) == 1
    code, verdict = answer(capsys, "verify", HOPPER, "--subject", "Eileen")
    assert (code, verdict["decision"]) == (1, "no_match")
    code, listed = answer(capsys, "subjects", "list")
    assert [s["subject"] for s in listed["subjects"]] == ["Eileen"]
    code, deleted = answer(capsys, "subjects", "delete", "Eileen", "--yes")
    assert (code, deleted["subject"], deleted["deleted"]) == (0, "Eileen", 1)
    assert not list((application_data / "verification_images").rglob("*.jpg"))
    assert answer(capsys, "subjects", "list")[1] == {"subjects": [], "skipped": []}


def test_the_seeds_way_copy_photos_and_verify_the_newest_input(
    capsys: pytest.CaptureFixture[str], application_data: Path
) -> None:
    for folder in ("verification_images", "input_image"):
        (application_data / folder).mkdir(parents=True)
    shutil.copy(ASTRONAUT, application_data / "verification_images")
    old, new = (application_data / "input_image" / f"{name}.jpg" for name in ("old", "new"))
    shutil.copy(HOPPER, old)
    shutil.copy(ASTRONAUT, new)
    os.utime(old, (1, 1))
    code, verdict = answer(capsys, "verify")
    assert (code, verdict["subject"]) == (0, "default")
    os.utime(old)
    os.utime(new, (1, 1))
    assert answer(capsys, "verify")[0] == 1


def test_what_the_folder_way_skipped_is_listed(
    capsys: pytest.CaptureFixture[str], application_data: Path
) -> None:
    folder = application_data / "verification_images"
    (folder / "anna").mkdir(parents=True)
    (folder / "bad name").mkdir()
    (folder / "anna" / "wall.jpg").write_bytes(pictures.encode(pictures.blank()))
    _, listed = answer(capsys, "subjects", "list")
    found = {s["path"]: s["reasons"][0]["code"] for s in listed["skipped"]}
    assert found == {"anna/wall.jpg": "NO_FACE", "bad name": "INVALID_IMAGE"}
    assert run(["subjects", "list"]) == 0
    assert "anna/wall.jpg" in capsys.readouterr().out


def test_a_deletion_in_a_script_says_how_to_confirm(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["subjects", "delete", "anna"]) == 3
    assert "--yes" in capsys.readouterr().err


def test_an_inconclusive_photo_exits_with_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    dark = tmp_path / "dark.png"
    pixels = (pictures.read(pictures.ASTRONAUT) * 0.15).astype(np.uint8)
    dark.write_bytes(pictures.encode(pixels, ".png"))
    assert run(["enroll", ASTRONAUT]) == 0
    capsys.readouterr()
    code, verdict = answer(capsys, "verify", str(dark))
    assert (code, verdict["decision"], verdict["verified"]) == (2, "inconclusive", False)
    assert "TOO_DARK" in [reason["code"] for reason in verdict["reasons"]]


def test_compare_stores_nothing(capsys: pytest.CaptureFixture[str], application_data: Path) -> None:
    assert answer(capsys, "compare", ASTRONAUT, ASTRONAUT)[0] == 0
    code, verdict = answer(capsys, "compare", ASTRONAUT, HOPPER)
    assert (code, verdict["subject"]) == (1, None)
    assert not list((application_data / "verification_images").rglob("*.jpg"))


def test_the_vote_policy(capsys: pytest.CaptureFixture[str]) -> None:
    run(["enroll", ASTRONAUT])
    capsys.readouterr()
    code, verdict = answer(capsys, "verify", ASTRONAUT, "--detection-threshold", "0.9")
    assert (code, verdict["policy"], verdict["fmr"]) == (0, "vote", None)
    assert verdict["votes"]["detection_threshold"] == 0.9
    assert verdict["votes"]["verification_threshold"] == 0.5


def test_a_folder_is_enrolled_and_the_bad_half_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(ASTRONAUT, folder / "good.jpg")
    shutil.copy(ASTRONAUT, folder / "twice.jpg")
    (folder / "wall.jpg").write_bytes(pictures.encode(pictures.blank()))
    (folder / "text.jpg").write_text("no image")
    (folder / "notes.txt").write_text("not a photo")
    code, result = answer(capsys, "enroll", str(folder))
    assert (code, result["references"]) == (0, 1)
    reasons = {r["filename"]: [x["code"] for x in r["reasons"]] for r in result["rejected"]}
    assert reasons == {
        "text.jpg": ["INVALID_IMAGE"],
        "twice.jpg": ["DUPLICATE_IMAGE"],
        "wall.jpg": ["NO_FACE"],
    }
    assert run(["enroll", str(folder / "wall.jpg")]) == 3
    shown = capsys.readouterr().out
    assert "NO_FACE" in shown
    assert "1 references" in shown


def test_a_missing_photo_does_not_hide_what_became_of_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, result = answer(capsys, "enroll", "missing.jpg", ASTRONAUT)
    assert (code, result["references"]) == (0, 1)
    assert [r["filename"] for r in result["rejected"]] == ["missing.jpg"]


def test_errors_are_json_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    code, error = answer(capsys, "verify", ASTRONAUT, "--subject", "nobody")
    assert (code, error["code"]) == (3, "subject_not_found")
    assert "No subject" in error["detail"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", ASTRONAUT, "--subject", "nobody"], "No subject of this name"),
        (["verify", ASTRONAUT], "no usable reference"),
        (["verify", "missing.jpg"], "missing.jpg can't be read"),
        (["verify"], "holds no photo"),
        (["verify", ASTRONAUT, "--max-fmr", "2"], "--max-fmr must be between 0 and 1"),
        (["verify", ASTRONAUT, "--max-fmr", "nan"], "--max-fmr must be between 0 and 1"),
        (["verify", ASTRONAUT, "--detection-threshold", "2"], "--detection-threshold must be"),
        (
            ["verify", ASTRONAUT, "--max-fmr", "0.1", "--detection-threshold", "0.5"],
            "one or the other",
        ),
        (["subjects", "delete", "nobody", "--yes"], "No subject of this name"),
        (["enroll", ASTRONAUT, "--subject", "../x"], "A subject name has"),
        (["model", "show", "gone"], "holds no bundle"),
        (["frobnicate"], "No such command"),
        (["compare", ASTRONAUT], "Missing argument 'target'"),
        (["verify", ASTRONAUT, "--max-fmr", "abc"], "--max-fmr"),
        (["verify", "--face-policy", "ugliest"], "ugliest"),
        (["evaluate", "lfw", "--data", "/"], "holds no LFW"),
    ],
)
def test_errors_exit_with_3_and_say_what_is_wrong(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(arguments) == 3
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_a_bad_setting_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACETWIN_MAX_FMR", "7")
    assert run(["subjects", "list"]) == 3
    assert "FACETWIN_MAX_FMR" in capsys.readouterr().err
    monkeypatch.setenv("FACETWIN_MAX_FMR", "1e-9")
    assert run(["subjects", "list"]) == 3
    assert "stricter than the model" in capsys.readouterr().err
    monkeypatch.delenv("FACETWIN_MAX_FMR")
    monkeypatch.setenv("FACETWIN_MAX_FRM", "1")
    assert run(["model", "list"]) == 0
    assert "FACETWIN_MAX_FRM is not a setting" in capsys.readouterr().err
    monkeypatch.setenv("FACETWIN_HOST", "0.0.0.0")
    assert run(["serve"]) == 3
    assert "FACETWIN_API_KEYS" in capsys.readouterr().err


def test_a_crash_never_looks_like_a_verdict(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_: object) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr("app.cli.model.list_versions", crash)
    assert run(["model", "list"]) == 3
    assert "out of luck" in capsys.readouterr().err


def test_models(capsys: pytest.CaptureFixture[str]) -> None:
    code, listed = answer(capsys, "model", "list")
    assert code == 0
    (active,) = [m["version"] for m in listed["models"] if m["active"]]
    code, manifest = answer(capsys, "model", "show")
    assert manifest["version"] == active
    code, verified = answer(capsys, "model", "verify")
    assert (code, verified["ok"]) == (0, True)
    assert run(["model", "show"]) == 0
    assert "Model card" in capsys.readouterr().out


def test_people_see_tables(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["enroll", ASTRONAUT],
        ["verify", ASTRONAUT],
        ["subjects", "list"],
        ["model", "list"],
        ["model", "verify"],
        ["--version"],
    ):
        assert run(arguments) == 0
    shown = capsys.readouterr().out
    assert "match for default" in shown
    assert "1 enrolled, 0 rejected" in shown
