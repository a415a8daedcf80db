"""Starts in volumes that are empty, of another version, full, or not to be written."""

import errno
import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.domain.errors import ModelNotFoundError, StorageError
from app.first_start import fill_volume
from app.inference.bundle import active_version, load_active, set_active
from app.runtime import open_runtime, open_serving_runtime
from app.settings import Settings
from app.storage.database import Database
from tests.conftest import MODEL_DIR

VERSION = active_version(MODEL_DIR)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a container with an empty volume, whose image ships the repository's bundle."""
    return Settings(
        application_data_dir=tmp_path / "volume" / "application_data",
        data_dir=tmp_path / "volume" / "data",
        model_dir=tmp_path / "volume" / "model",
        shipped_model_dir=MODEL_DIR,
    )


def shipping(settings: Settings, folder: Path, version: str) -> Settings:
    """The same with an image that ships a bundle of another name; its content does not matter."""
    (folder / version).mkdir(parents=True)
    (folder / version / "manifest.json").write_text("{}")
    set_active(folder, version)
    return settings.model_copy(update={"shipped_model_dir": folder})


def test_an_empty_volume_gets_all_that_is_needed(settings: Settings) -> None:
    fill_volume(settings, upgrade=True)

    assert load_active(settings.model_dir).manifest.version == VERSION
    shipped = {p.relative_to(MODEL_DIR / VERSION) for p in (MODEL_DIR / VERSION).rglob("*")}
    copied = settings.model_dir / VERSION
    assert {p.relative_to(copied) for p in copied.rglob("*")} == shipped
    assert settings.application_data_dir.is_dir()
    assert sorted(p.name for p in settings.data_dir.iterdir()) == ["anchor", "negative", "positive"]
    hidden = [p.name for p in settings.model_dir.iterdir() if p.name.startswith(".")]
    assert hidden == [".shipped"]


def test_nothing_is_done_without_a_shipped_bundle(settings: Settings, tmp_path: Path) -> None:
    fill_volume(settings.model_copy(update={"shipped_model_dir": None}), upgrade=True)
    assert not (tmp_path / "volume").exists()


def test_a_second_start_changes_nothing(settings: Settings) -> None:
    fill_volume(settings, upgrade=True)
    before = {p: p.stat().st_mtime_ns for p in settings.model_dir.rglob("*")}
    fill_volume(settings, upgrade=True)
    assert {p: p.stat().st_mtime_ns for p in settings.model_dir.rglob("*")} == before


def test_a_newer_image_replaces_what_an_older_one_brought(
    settings: Settings, tmp_path: Path
) -> None:
    fill_volume(shipping(settings, tmp_path / "old", "default-1"), upgrade=True)
    fill_volume(settings, upgrade=True)

    assert active_version(settings.model_dir) == VERSION
    assert (settings.model_dir / "default-1").is_dir()

    # And the older image, if it is put back.
    fill_volume(settings.model_copy(update={"shipped_model_dir": tmp_path / "old"}), upgrade=True)
    assert active_version(settings.model_dir) == "default-1"


def test_a_bundle_that_somebody_activated_stays(settings: Settings, tmp_path: Path) -> None:
    fill_volume(shipping(settings, tmp_path / "old", "default-1"), upgrade=True)
    shutil.copytree(settings.model_dir / "default-1", settings.model_dir / "own")
    set_active(settings.model_dir, "own")

    fill_volume(settings, upgrade=True)

    assert active_version(settings.model_dir) == "own"
    assert (settings.model_dir / VERSION).is_dir()


def test_an_image_that_is_too_old_for_the_volume_leaves_its_model_alone(
    settings: Settings, tmp_path: Path
) -> None:
    """A newer service that is running follows the pointer at once."""
    settings = settings.model_copy(update={"allow_anonymous": True})
    fill_volume(settings, upgrade=True)
    database = Database(settings.database_url)
    database.migrate()
    database.close()
    with closing(sqlite3.connect(str(make_url(settings.database_url).database))) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    files = {p: p.stat().st_mtime_ns for p in settings.model_dir.rglob("*")}

    older = shipping(settings, tmp_path / "old", "default-1")
    for start in (open_serving_runtime, open_runtime):
        with pytest.raises(StorageError, match="another version of Facetwin"):
            start(older)

    assert {p: p.stat().st_mtime_ns for p in settings.model_dir.rglob("*")} == files
    assert active_version(settings.model_dir) == VERSION


def test_an_image_whose_volume_is_being_served_leaves_its_model_alone(
    settings: Settings, tmp_path: Path
) -> None:
    """Of another image, but of the same database."""
    settings = settings.model_copy(update={"allow_anonymous": True})
    other = shipping(settings, tmp_path / "other", "default-1")
    serving = open_serving_runtime(settings)
    try:
        files = {p: p.stat().st_mtime_ns for p in settings.model_dir.rglob("*")}
        with pytest.raises(StorageError, match="Another server already serves"):
            open_serving_runtime(other)
        open_runtime(other).close()  # a command
        assert {p: p.stat().st_mtime_ns for p in settings.model_dir.rglob("*")} == files
    finally:
        serving.close()
    assert active_version(settings.model_dir) == VERSION


def test_a_command_fills_an_empty_volume_too(settings: Settings) -> None:
    open_runtime(settings).close()
    assert active_version(settings.model_dir) == VERSION


def test_going_back_to_an_older_bundle_outlives_a_restart(
    settings: Settings, tmp_path: Path
) -> None:
    fill_volume(shipping(settings, tmp_path / "old", "default-1"), upgrade=True)
    fill_volume(settings, upgrade=True)
    set_active(settings.model_dir, "default-1")
    fill_volume(settings, upgrade=True)
    assert active_version(settings.model_dir) == "default-1"


def test_a_folder_with_a_bundle_that_no_image_brought_is_left_alone(
    settings: Settings, tmp_path: Path
) -> None:
    shipping(settings, settings.model_dir, "own")
    fill_volume(settings, upgrade=True)
    assert active_version(settings.model_dir) == "own"


def test_the_training_image_adds_the_keras_network_to_the_volume_of_the_serving_one(
    settings: Settings, tmp_path: Path
) -> None:
    serving = tmp_path / "serving"
    shutil.copytree(MODEL_DIR / VERSION, serving / VERSION)
    (serving / VERSION / "embedding.keras").unlink()
    set_active(serving, VERSION)
    fill_volume(settings.model_copy(update={"shipped_model_dir": serving}), upgrade=True)
    copied = settings.model_dir / VERSION / "embedding.keras"
    assert not copied.exists()

    fill_volume(settings, upgrade=True)

    assert copied.read_bytes() == (MODEL_DIR / VERSION / "embedding.keras").read_bytes()


def test_a_bundle_of_the_same_name_that_is_another_one_is_left_alone(
    settings: Settings,
) -> None:
    shipping(settings, settings.model_dir, VERSION)
    fill_volume(settings, upgrade=True)
    assert [p.name for p in (settings.model_dir / VERSION).iterdir()] == ["manifest.json"]


def test_a_full_volume_is_told_and_holds_no_part_of_a_bundle(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bytes = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if "onet" in path.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_bytes(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="No space left on device"):
        fill_volume(settings, upgrade=True)
    assert not list(settings.model_dir.iterdir())


def test_a_volume_that_may_not_be_written_is_told_with_the_user(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError, match=rf"Read-only file system\..*user {os.geteuid()} "):
        fill_volume(settings, upgrade=True)


def test_what_killed_starts_left_is_removed_after_a_while(settings: Settings) -> None:
    for name, age in (("old", 7200), ("new", 60)):
        draft = settings.model_dir / f".shipped-{name}"
        draft.mkdir(parents=True)
        os.utime(draft, (time.time() - age,) * 2)
    fill_volume(settings, upgrade=True)
    assert not (settings.model_dir / ".shipped-old").exists()
    assert (settings.model_dir / ".shipped-new").exists()


def test_an_image_without_a_bundle_is_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        fill_volume(settings.model_copy(update={"shipped_model_dir": tmp_path}), upgrade=True)


def test_what_a_killed_start_left_goes_with_the_next_one(settings: Settings) -> None:
    fill_volume(settings, upgrade=True)
    old, new = (settings.model_dir / f".shipped-{name}" for name in ("old", "new"))
    for draft in (old, new):
        (draft / "networks").mkdir(parents=True)
    os.utime(old, (1, 1))
    fill_volume(settings, upgrade=True)
    assert not old.exists()
    assert new.exists()


def test_a_note_that_cannot_be_read_is_a_clear_error(settings: Settings) -> None:
    fill_volume(settings, upgrade=True)
    (settings.model_dir / ".shipped").unlink()
    (settings.model_dir / ".shipped").mkdir()
    with pytest.raises(StorageError, match=r"\.shipped"):
        fill_volume(settings, upgrade=True)
