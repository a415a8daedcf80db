"""Opening a runtime: folders, the serving lock, and errors that say what to do."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from app import installed_bundles
from app.domain.errors import ModelNotFoundError, StorageError, UnsupportedFmrError
from app.runtime import open_runtime, open_serving_runtime
from app.settings import Settings
from tests.dummy_pipeline import DummyPipeline, photo


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        host="127.0.0.1",
        application_data_dir=tmp_path / "application_data",
        model_dir=tmp_path / "model",
        database_url=f"sqlite:///{tmp_path}/application_data/facetwin.sqlite",
    )


@pytest.fixture
def _dummy_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in in the place of a bundle and the pipeline that runs it."""
    monkeypatch.setattr(installed_bundles, "load_active", lambda _folder: None)
    monkeypatch.setattr(installed_bundles, "Pipeline", lambda _bundle, **_options: DummyPipeline())


def test_without_a_bundle_the_message_names_the_file(settings: Settings) -> None:
    with pytest.raises(ModelNotFoundError, match="active is missing"):
        open_runtime(settings)


@pytest.mark.usefixtures("_dummy_bundle")
def test_a_folder_that_cannot_be_made_is_named(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "application_data").write_text("in the way")

    with pytest.raises(StorageError, match="FACETWIN_APPLICATION_DATA_DIR"):
        open_runtime(settings)


@pytest.mark.usefixtures("_dummy_bundle")
def test_a_rate_that_no_bucket_can_price_is_refused_at_start(settings: Settings) -> None:
    with pytest.raises(UnsupportedFmrError, match="FACETWIN_MAX_FMR"):
        open_runtime(settings.model_copy(update={"max_fmr": 1e-9}))
    assert not settings.images_dir.exists()


@pytest.mark.usefixtures("_dummy_bundle")
def test_photos_of_the_folder_are_embedded_at_start(settings: Settings) -> None:
    settings.images_dir.mkdir(parents=True)
    (settings.images_dir / "one.jpg").write_bytes(photo("alice"))
    steps: list[tuple[int, int]] = []

    opened = open_runtime(settings, progress=lambda done, total: steps.append((done, total)))

    assert opened.gallery.reference_count() == 1
    assert opened.self_test.ok
    assert settings.input_dir.is_dir()
    assert steps[-1] == (1, 1)
    opened.close()


@pytest.mark.usefixtures("_dummy_bundle")
def test_one_server_at_a_time(settings: Settings) -> None:
    first = open_serving_runtime(settings)
    with pytest.raises(StorageError, match="Another server"):
        open_serving_runtime(settings)
    open_runtime(settings).close()  # the CLI works beside a server
    first.close()

    open_serving_runtime(settings).close()


@pytest.mark.usefixtures("_dummy_bundle")
def test_one_database_is_served_once(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "application_data")
    other = settings.model_copy(
        update={
            "application_data_dir": tmp_path / "other",
            "database_url": f"sqlite:///{tmp_path}/link/facetwin.sqlite",
        }
    )
    first = open_serving_runtime(settings)
    with pytest.raises(StorageError, match=r"Another server .*FACETWIN_DATABASE_URL"):
        open_serving_runtime(other)
    first.close()

    # The failed start holds nothing back, neither here nor there.
    open_serving_runtime(settings).close()
    apart = {"database_url": f"sqlite:///{tmp_path}/new/folder/facetwin.sqlite"}
    second = open_serving_runtime(other.model_copy(update=apart))
    open_serving_runtime(settings).close()
    second.close()


@pytest.mark.usefixtures("_dummy_bundle")
@pytest.mark.parametrize("cause", [errno.EROFS, errno.EACCES, errno.ENOSPC])
@pytest.mark.parametrize("lock", [".facetwin.lock", ".facetwin.sqlite.lock"])
def test_a_lock_file_that_cannot_be_made_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, lock: str, cause: int
) -> None:
    original = os.open

    def refuse(path: str, *arguments: Any, **options: Any) -> int:
        if str(path).endswith(f"/{lock}"):
            raise OSError(cause, os.strerror(cause))
        return original(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(StorageError, match=f"{lock}.*{os.strerror(cause)}.*FACETWIN_"):
            open_serving_runtime(settings)
    open_serving_runtime(settings).close()


@pytest.mark.usefixtures("_dummy_bundle")
def test_a_disk_without_locks_says_so(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(StorageError, match="can't be locked"):
        open_serving_runtime(settings)


@pytest.mark.usefixtures("_dummy_bundle")
def test_a_failed_start_gives_the_lock_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(installed_bundles, "load_active", _missing)
        with pytest.raises(ModelNotFoundError):
            open_serving_runtime(settings)

    open_serving_runtime(settings).close()


def _missing(_folder: Path) -> None:
    raise ModelNotFoundError("No model is active.")
