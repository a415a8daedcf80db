import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import StorageError
from app.domain.training import Role
from app.domain.training_photos import RoleSize
from app.storage.files import write_durably
from app.storage.training_files import TrainingFiles
from app.training.data.crops import CropCache
from app.training.data.photos import read_photos


@pytest.fixture
def files(tmp_path: Path) -> TrainingFiles:
    return TrainingFiles(tmp_path / "data", Role.NEGATIVE)


def listed(tmp_path: Path) -> list[str]:
    root = tmp_path / "data" / "negative"
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir())


def put(tmp_path: Path, *paths: str) -> None:
    for path in paths:
        place = tmp_path / "data" / "negative" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.encode())


def test_photos_come_into_folders_that_are_made(files: TrainingFiles, tmp_path: Path) -> None:
    files.add("bob", [("1.jpg", b"one"), ("2.jpg", b"two")])
    files.add("", [("3.jpg", b"three")])
    assert listed(tmp_path) == ["3.jpg", "bob/1.jpg", "bob/2.jpg"]
    assert files.size() == RoleSize(3, 11, 1, 1)
    assert (tmp_path / "data/negative/bob/1.jpg").stat().st_mode & 0o077 == 0


def test_a_person_has_one_folder_in_any_spelling(files: TrainingFiles, tmp_path: Path) -> None:
    put(tmp_path, "Bob/1.jpg")
    assert files.folder_for("bob") == "Bob"
    assert files.folder_for("amy") == "amy"
    put(tmp_path, "bob/1.jpg")
    assert files.folder_for("bob") == "bob"
    assert files.folders_of("BOB") == ["Bob", "bob"]


def test_what_is_counted_is_what_training_reads(files: TrainingFiles, tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.txt", ".hidden.jpg", "bob/1.JPG", "bob/deep/er/2.png")
    put(tmp_path, "bob/.hidden/3.jpg", ".trash/4.jpg", "amy/5.heic", "notes/readme.md")
    (tmp_path / "data/negative/link.jpg").symlink_to(tmp_path / "data/negative/a.jpg")
    size = files.size()
    photos = read_photos(tmp_path / "data")
    assert size.photos == len(photos) == 4
    assert size.size == sum(photo.path.stat().st_size for photo in photos)
    assert size.folders + size.loose == len({photo.person for photo in photos}) == 3


def test_a_missing_folder_is_empty(files: TrainingFiles) -> None:
    assert files.size() == RoleSize()
    assert files.remove(None, Path("nowhere")) == 0
    assert files.folders_of("bob") == []
    assert not files.has("bob/1.jpg")


@pytest.mark.parametrize("step", ["write", "replace", "fsync"])
def test_a_failing_disk_leaves_nothing_half_written(
    files: TrainingFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    files.add("bob", [("0.jpg", b"zero")])
    calls = 0

    def failing(real: Callable[..., Any]) -> Callable[..., Any]:
        def fail(*args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **options)

        return fail

    if step == "write":
        place = "app.storage.training_files.write_durably"
        monkeypatch.setattr(place, failing(write_durably))
    else:
        monkeypatch.setattr(os, step, failing(getattr(os, step)))
    with pytest.raises(StorageError, match="the disk is full"):
        files.add("bob", [("1.jpg", b"one"), ("2.jpg", b"two"), ("3.jpg", b"three")])
    monkeypatch.undo()
    left = listed(tmp_path)
    assert "bob/0.jpg" in left
    assert not any(".incoming-" in name for name in left)
    if step == "write":
        assert left == ["bob/0.jpg"]
    for name in left:
        content = (tmp_path / "data/negative" / name).read_bytes()
        assert content in {b"zero", b"one", b"two", b"three"}


def test_what_an_ended_process_was_writing_goes_with_the_next_photos(
    files: TrainingFiles, tmp_path: Path
) -> None:
    put(tmp_path, ".incoming-old", ".incoming-new")
    os.utime(tmp_path / "data/negative/.incoming-old", (0, 0))
    files.add("", [("1.jpg", b"one")])
    assert listed(tmp_path) == [".incoming-new", "1.jpg"]


def test_a_folder_that_is_a_link_is_not_written_into(files: TrainingFiles, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    put(tmp_path, "a.jpg")
    (tmp_path / "data/negative/bob").symlink_to(outside)
    with pytest.raises(StorageError):
        files.add("bob", [("1.jpg", b"one")])
    assert list(outside.iterdir()) == []


def test_a_person_goes_with_folder_and_crops(files: TrainingFiles, tmp_path: Path) -> None:
    put(tmp_path, "bob/1.jpg", "bob/deep/2.jpg", "bob/notes.txt", "bob/.incoming-x", "amy/1.jpg")
    crops = CropCache(tmp_path / "crops")
    for name in ("bob/1.jpg", "bob/deep/2.jpg", "amy/1.jpg"):
        crops.write(hashlib.sha256(name.encode()).hexdigest(), "wide-1", b"face")
    size = crops.size
    assert files.remove("bob", tmp_path / "crops") == 2
    assert listed(tmp_path) == ["amy/1.jpg"]
    assert not (tmp_path / "data/negative/bob").exists()
    assert crops.size == size // 3
    assert crops.read(hashlib.sha256(b"amy/1.jpg").hexdigest(), "wide-1") == b"face"


def test_a_role_goes_but_for_what_is_not_training(files: TrainingFiles, tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "bob/1.jpg", ".gitkeep", "README.md", ".trash/2.jpg", ".incoming-1")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.jpg").write_bytes(b"kept")
    (tmp_path / "data/negative/bob/link").symlink_to(outside)
    assert files.remove(None, tmp_path / "crops") == 2
    assert listed(tmp_path) == [".gitkeep", ".trash/2.jpg", "README.md"]
    assert (outside / "kept.jpg").exists()


def test_what_can_not_be_deleted_is_told_and_goes_the_next_time(
    files: TrainingFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "bob/1.jpg", "bob/2.jpg")
    unlink = os.unlink

    def refuse(path: Any, **options: Any) -> None:
        if path == "2.jpg":
            raise OSError(errno.EROFS, "Read-only file system")
        unlink(path, **options)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(StorageError, match="read-only"):
        files.remove("bob", tmp_path / "crops")
    monkeypatch.undo()
    assert files.remove("bob", tmp_path / "crops") == 1
    assert listed(tmp_path) == []
