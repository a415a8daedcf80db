"""Which bundles `facetwin model prune` may delete."""

from pathlib import Path

import pytest

from app.domain.errors import BundleError, ModelNotFoundError, StorageError
from app.inference.bundle import set_active
from app.pruning import prunable
from app.settings import Settings
from tests.model_folder import SHIPPED, add_version, copy_shipped


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The default bundle, and one of each preset; `tuned` is active."""
    settings = Settings(
        model_dir=tmp_path / "model", application_data_dir=tmp_path / "application_data"
    )
    copy_shipped(settings.model_dir)
    for version, preset in {"seeded": "seed", "small": "compact", "tuned": "finetune"}.items():
        add_version(settings.model_dir, version, preset=preset)
    set_active(settings.model_dir, "tuned")
    return settings


def unreadable(settings: Settings, version: str) -> None:
    (settings.model_dir / version / "manifest.json").write_text("{}", "utf-8")


def test_without_names_only_what_jobs_made(settings: Settings) -> None:
    add_version(settings.model_dir, "default-3")
    assert prunable(settings, [], []) == ["seeded", "small"]
    assert prunable(settings, [], ["small"]) == ["seeded"]
    set_active(settings.model_dir, SHIPPED)
    assert prunable(settings, [], []) == ["seeded", "small", "tuned"]


def test_an_unreadable_bundle_has_to_be_named(settings: Settings) -> None:
    unreadable(settings, "small")
    assert prunable(settings, [], []) == ["seeded"]
    assert prunable(settings, ["small"], []) == ["small"]
    unreadable(settings, SHIPPED)
    assert prunable(settings, [SHIPPED], []) == [SHIPPED]


def test_the_active_one_is_refused(settings: Settings) -> None:
    with pytest.raises(BundleError, match="tuned is active"):
        prunable(settings, ["small", "tuned"], [])
    with pytest.raises(ModelNotFoundError):
        prunable(settings, ["gone"], [])
    with pytest.raises(ModelNotFoundError):
        prunable(settings, [], ["gone"])


def test_what_the_installation_brought_is_refused(settings: Settings, tmp_path: Path) -> None:
    """Also if a job made it: an image may ship a model of its own, and would bring it back."""
    (settings.model_dir / ".shipped").write_text("small\n", "utf-8")
    copy_shipped(tmp_path / "image")
    add_version(tmp_path / "image", "seeded", preset="seed")
    set_active(tmp_path / "image", "seeded")
    image = settings.model_copy(update={"shipped_model_dir": tmp_path / "image"})
    assert prunable(settings, [], []) == ["seeded"]
    assert prunable(image, [], []) == []
    assert prunable(settings, ["seeded"], []) == ["seeded"]
    for version in ("small", "seeded"):
        with pytest.raises(BundleError, match=f"{version} came with this installation"):
            prunable(image, [version], [])


def test_what_was_brought_is_not_guessed(settings: Settings) -> None:
    (settings.model_dir / ".shipped").write_bytes(b"\xff")
    for named in ([], ["small"]):
        with pytest.raises(StorageError, match="can't be read"):
            prunable(settings, named, [])


def test_the_last_bundle_that_no_job_made_is_refused(settings: Settings) -> None:
    with pytest.raises(BundleError, match=f"Without the model {SHIPPED}"):
        prunable(settings, [SHIPPED], [])
    add_version(settings.model_dir, "default-3")
    assert prunable(settings, [SHIPPED], []) == [SHIPPED]
    assert prunable(settings, [SHIPPED, "default-3"], [SHIPPED]) == ["default-3"]
    with pytest.raises(BundleError, match="none would be left"):
        prunable(settings, [SHIPPED, "default-3"], [])


def test_a_damaged_bundle_is_none_that_is_left(settings: Settings) -> None:
    broken = add_version(settings.model_dir, "default-3")
    (broken / "embedding.tflite").unlink()
    with pytest.raises(BundleError, match=f"Without the model {SHIPPED}"):
        prunable(settings, [SHIPPED], [])
    assert prunable(settings, ["default-3"], []) == ["default-3"]
