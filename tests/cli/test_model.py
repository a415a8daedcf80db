"""`facetwin model list`, `activate` and `prune`."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.cli import run
from app.inference.bundle import read_pointer
from app.inference.bundle_lock import hold
from app.runtime import open_serving_runtime
from app.settings import Settings
from tests import pictures
from tests.model_folder import SHIPPED, add_version, copy_shipped, damage

ASTRONAUT, HOPPER = str(pictures.ASTRONAUT), str(pictures.HOPPER)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "model"
    copy_shipped(folder)
    add_version(folder, "other", shift=2.0, preset="finetune")
    monkeypatch.setenv("FACETWIN_MODEL_DIR", str(folder))
    return folder


@pytest.fixture
def _enrolled(models: Path) -> None:
    assert run(["enroll", ASTRONAUT, "--subject", "Eileen"]) == 0


@pytest.fixture
def serving_runtime(models: Path) -> Iterator[Settings]:
    """A service runs, as far as the bundles can tell."""
    settings = Settings(inference_threads=1)
    runtime = open_serving_runtime(settings)
    yield settings
    runtime.close()


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    capsys.readouterr()
    code = run([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    code, found = answer(capsys, "model", "list")
    assert code == 0
    return {each["version"]: each for each in found["models"]}


def fingerprints(application_data: Path) -> dict[str, int]:
    with closing(sqlite3.connect(application_data / "facetwin.sqlite")) as database:
        rows = database.execute("SELECT fingerprint, count(*) FROM embeddings GROUP BY 1")
        return dict(rows.fetchall())


def test_a_list_before_the_first_start_makes_no_database(
    capsys: pytest.CaptureFixture[str], models: Path, application_data: Path
) -> None:
    found = listed(capsys)
    assert {name: each["references"] for name, each in found.items()} == {SHIPPED: 0, "other": 0}
    assert not application_data.exists()


@pytest.mark.usefixtures("_enrolled")
def test_activate_and_back(
    capsys: pytest.CaptureFixture[str], models: Path, application_data: Path
) -> None:
    before = listed(capsys)
    assert (before[SHIPPED]["references"], before["other"]["references"]) == (1, 0)
    assert answer(capsys, "model", "activate", "other") == (
        0,
        {"version": "other", "warnings": []},
    )
    after = listed(capsys)
    assert [name for name, each in after.items() if each["active"]] == ["other"]
    assert (after[SHIPPED]["references"], after["other"]["references"]) == (1, 1)
    assert after["other"]["fingerprint"] != after[SHIPPED]["fingerprint"]
    assert after["other"]["bytes"] > 1_000_000
    assert after["other"]["licence"] == after[SHIPPED]["licence"]
    code, verdict = answer(capsys, "verify", ASTRONAUT, "--subject", "Eileen")
    assert (code, verdict["model"]["version"]) == (0, "other")
    assert run(["model", "activate", SHIPPED]) == 0
    assert read_pointer(models) == SHIPPED
    assert run(["audit", "verify"]) == 0
    assert run(["audit", "tail"]) == 0
    assert "activate_model" in capsys.readouterr().out


@pytest.mark.usefixtures("_enrolled")
def test_who_loses_the_price_is_named(capsys: pytest.CaptureFixture[str], models: Path) -> None:
    add_version(models, "own", subject="eileen")
    assert run(["model", "activate", "own"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "own is active; a running service follows within seconds\n"
    (warning,) = [line for line in shown.err.splitlines() if line.startswith("warning: ")]
    assert "everybody but eileen with any number of references; /compare" in warning
    assert run(["compare", ASTRONAUT, ASTRONAUT]) == 3
    assert run(["model", "activate", SHIPPED]) == 0
    assert "warning" not in capsys.readouterr().err
    assert answer(capsys, "model", "activate", "own")[1]["warnings"] == [
        warning.removeprefix("warning: ")
    ]


@pytest.mark.usefixtures("_enrolled")
def test_a_model_that_cannot_serve_is_refused(
    capsys: pytest.CaptureFixture[str], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACETWIN_MAX_FMR", "1e-9")
    assert run(["model", "activate", "other"]) == 3
    assert "stricter than the model other" in capsys.readouterr().err
    monkeypatch.delenv("FACETWIN_MAX_FMR")
    damage(models, "other")
    assert run(["model", "activate", "other"]) == 3
    assert "fails its sha256" in capsys.readouterr().err
    assert run(["model", "activate", "gone"]) == 3
    assert read_pointer(models) == SHIPPED


def test_a_damaged_bundle_is_listed_with_its_problem(
    capsys: pytest.CaptureFixture[str], models: Path
) -> None:
    (models / "other" / "manifest.json").write_text('{"format": 1}')
    found = listed(capsys)
    assert "not a valid manifest" in found["other"]["problem"]
    assert found[SHIPPED]["problem"] is None
    assert run(["model", "list"]) == 0
    table, problem = capsys.readouterr().out.split("other: ")
    assert SHIPPED in table
    assert "not a valid manifest" in problem
    assert problem.count("\n") == 1


def test_the_list_of_what_jobs_made_fits_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], models: Path
) -> None:
    add_version(models, "finetune-20261125-103200", shift=1.0, preset="finetune")
    assert run(["model", "list"]) == 0
    table = capsys.readouterr().out
    assert "finetune-20261125-103200" in table
    assert max(map(len, table.splitlines())) <= 80


@pytest.mark.usefixtures("_enrolled")
def test_prune_deletes_what_jobs_made(
    capsys: pytest.CaptureFixture[str], models: Path, application_data: Path
) -> None:
    add_version(models, "seeded", preset="seed")
    add_version(models, "small", preset="compact")
    assert run(["model", "activate", "other"]) == 0
    default = listed(capsys)[SHIPPED]["fingerprint"]
    assert run(["model", "activate", SHIPPED]) == 0
    code, pruned = answer(capsys, "model", "prune", "--keep", "small", "--yes")
    # `seeded` has the fingerprint of the default bundle, so its embeddings stay.
    assert (code, pruned) == (0, {"models": ["other", "seeded"], "kept": {}, "embeddings": 1})
    assert sorted(p.name for p in models.iterdir()) == ["active", SHIPPED, "small"]
    assert fingerprints(application_data) == {default: 1}
    assert run(["verify", ASTRONAUT, "--subject", "Eileen"]) == 0


def test_prune_without_names_leaves_the_default_bundle(
    capsys: pytest.CaptureFixture[str], models: Path
) -> None:
    add_version(models, "small", preset="compact")
    assert run(["model", "activate", "other"]) == 0
    assert answer(capsys, "model", "prune", "--yes")[1]["models"] == ["small"]
    assert sorted(p.name for p in models.iterdir()) == ["active", SHIPPED, "other"]
    assert run(["model", "activate", SHIPPED]) == 0


def test_what_must_stay_is_refused_before_anything_is_deleted(
    capsys: pytest.CaptureFixture[str], models: Path
) -> None:
    add_version(models, "small", preset="compact")
    assert run(["model", "activate", "other"]) == 0
    assert run(["model", "prune", "small", SHIPPED, "--yes"]) == 3
    assert "no training job made" in " ".join(capsys.readouterr().err.split())
    assert (models / "small").is_dir()


@pytest.mark.usefixtures("_enrolled")
def test_embeddings_only(
    capsys: pytest.CaptureFixture[str], models: Path, application_data: Path
) -> None:
    with closing(sqlite3.connect(application_data / "facetwin.sqlite")) as database, database:
        database.execute(
            "INSERT INTO embeddings (image_id, fingerprint, vector, key_id, face, quality) "
            "SELECT image_id, 'f', vector, key_id, face, quality FROM embeddings"
        )
    code, pruned = answer(capsys, "model", "prune", "--embeddings-only", "--yes")
    assert (code, pruned) == (0, {"models": [], "kept": {}, "embeddings": 1})
    assert sorted(p.name for p in models.iterdir()) == ["active", SHIPPED, "other"]
    assert "f" not in fingerprints(application_data)
    assert run(["model", "prune", "other", "--embeddings-only", "--yes"]) == 3


def test_the_active_model_is_never_deleted(
    capsys: pytest.CaptureFixture[str], models: Path
) -> None:
    assert run(["model", "prune", SHIPPED, "--yes"]) == 3
    assert "is active" in capsys.readouterr().err
    assert run(["model", "prune", "gone", "--yes"]) == 3
    assert (models / SHIPPED).is_dir()


def test_without_a_usable_active_model_nothing_is_deleted(
    capsys: pytest.CaptureFixture[str], models: Path
) -> None:
    (models / "active").write_text("gone\n")
    assert run(["model", "prune", "--yes"]) == 3
    assert "No usable model is active" in capsys.readouterr().err
    assert (models / "other").is_dir()


def test_a_model_that_serves_stays(
    capsys: pytest.CaptureFixture[str], models: Path, serving_runtime: Settings
) -> None:
    """The service has not followed (or can't), so its bundle is not the active one."""
    add_version(models, "default-3")
    assert run(["model", "activate", "other"]) == 0
    code, pruned = answer(capsys, "model", "prune", SHIPPED, "--yes")
    assert (code, pruned["models"]) == (0, [])
    assert "in use" in pruned["kept"][SHIPPED]
    assert (models / SHIPPED / "manifest.json").is_file()


def test_a_script_must_say_yes(capsys: pytest.CaptureFixture[str], models: Path) -> None:
    assert run(["model", "prune"]) == 3
    assert "--yes" in capsys.readouterr().err
    assert (models / "other").is_dir()


def test_remains_of_an_interrupted_deletion_go(models: Path) -> None:
    (models / "other").rename(models / ".deleted-other")
    assert run(["model", "prune", "--yes"]) == 0
    assert sorted(p.name for p in models.iterdir()) == ["active", SHIPPED]


def test_a_bundle_in_use_is_free_once_its_user_is_gone(
    capsys: pytest.CaptureFixture[str], models: Path
) -> None:
    class User:
        pass

    user = User()
    hold(models / "other", user)
    assert answer(capsys, "model", "prune", "--yes")[1]["models"] == []
    del user
    assert answer(capsys, "model", "prune", "--yes")[1]["models"] == ["other"]
