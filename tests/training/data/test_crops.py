import errno
from pathlib import Path

import numpy as np
import pytest

from app.domain.entities import Pixels
from app.domain.errors import StorageError
from app.training.data import crops as crops_module
from app.training.data.crops import CropCache, recipe_of

ONE, TWO = "a" * 64, "b" * 64


@pytest.fixture
def crops(tmp_path: Path) -> CropCache:
    return CropCache(tmp_path / "crops")


def entries(crops: CropCache) -> list[Path]:
    return sorted(path for path in crops._folder.rglob("*") if path.is_file())


def test_what_is_written_is_read_by_photo_and_recipe(crops: CropCache) -> None:
    crops.write(ONE, "r-1", b"content")
    assert crops.read(ONE, "r-1") == b"content"
    assert crops.read(ONE, "r-2") is None
    assert crops.read(TWO, "r-1") is None
    assert crops.size == 32 + len(b"content")


def test_entries_are_for_the_service_alone(crops: CropCache) -> None:
    crops.write(ONE, "r", b"face")
    (entry,) = entries(crops)
    assert entry.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 39, None])
def test_a_damaged_entry_is_absent_and_made_anew(crops: CropCache, damage: bytes | None) -> None:
    crops.write(ONE, "r", b"content")
    (entry,) = entries(crops)
    whole = entry.read_bytes()
    entry.write_bytes(whole[:-1] + b"X" if damage is None else damage)
    assert crops.read(ONE, "r") is None
    crops.write(ONE, "r", b"content")
    assert crops.read(ONE, "r") == b"content"


def test_pictures_are_kept_exactly_and_made_once(crops: CropCache) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    made = []

    def make() -> Pixels:
        made.append(1)
        return picture

    for _ in range(3):
        assert np.array_equal(crops.pixels(ONE, "wide", make), picture)
    assert len(made) == 1


def test_a_full_disk_is_told_and_leaves_nothing(
    crops: CropCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(place: Path, data: bytes) -> None:
        place.write_bytes(data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(crops_module, "_write", write)
    with pytest.raises(StorageError, match="the disk is full"):
        crops.write(ONE, "r", b"content")
    assert entries(crops) == []


def test_photos_are_forgotten_with_all_that_was_made_of_them(crops: CropCache) -> None:
    for photo in (ONE, TWO):
        for recipe in ("wide-1", "embedding-1"):
            crops.write(photo, recipe, b"x")
    entries(crops)[0].with_name(f".{ONE}-wide-1.1-2").write_bytes(b"left by a process that died")
    assert crops.keep_only([TWO]) == 3
    assert [path.name[:1] for path in entries(crops)] == ["b", "b"]
    assert crops.keep_only([ONE]) == 2
    assert crops.size == 0


def test_recipes_differ_with_all_that_they_are_made_of() -> None:
    assert recipe_of("wide", {"a": 1}) == recipe_of("wide", {"a": 1})
    assert len({recipe_of("wide", {"a": 1}), recipe_of("wide", {"a": 2}), recipe_of("w", {})}) == 3
