"""The folder of bundles: what is listed, loaded, kept in use and deleted."""

import errno
import gc
import json
import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

from app.domain.errors import BundleError, ModelNotFoundError, StorageError
from app.inference.bundle import (
    list_versions,
    load_active,
    load_bundle,
    read_pointer,
    set_active,
)
from app.inference.bundle_lock import hold, is_used, unused
from app.inference.decode import DecodeLimits
from app.inference.disposal import clear_remains, dispose
from app.inference.shelf import BundleShelf
from app.training.bundle_writer import BundleWriter
from tests.conftest import MODEL_DIR
from tests.model_folder import SHIPPED, add_version, copy_shipped, damage


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy_shipped(tmp_path)
    return tmp_path


@pytest.fixture
def shelf(folder: Path) -> BundleShelf:
    return BundleShelf(folder, 1, DecodeLimits())


class User:
    """Somebody who holds a bundle."""


def test_bundles_that_are_being_written_or_deleted_are_not_listed(folder: Path) -> None:
    writer = BundleWriter(folder, "new")
    writer.add_json("manifest.json", {})
    (folder / SHIPPED).rename(folder / f".deleted-{SHIPPED}")
    assert list_versions(folder) == []
    with pytest.raises(ModelNotFoundError):
        load_active(folder)


def test_a_summary_is_what_the_manifest_says(shelf: BundleShelf, folder: Path) -> None:
    (summary,) = shelf.summaries()
    manifest = load_active(folder).manifest
    assert (summary.version, summary.fingerprint) == (SHIPPED, manifest.fingerprint)
    assert (summary.preset, summary.licence) == (manifest.preset, manifest.licence)
    assert summary.problem is None
    assert summary.bytes > sum(entry.bytes for entry in manifest.files.values())
    description = shelf.describe(SHIPPED)
    assert description.manifest["version"] == SHIPPED
    assert description.card.startswith("# Model card")


def test_a_calibration_is_read_alone(shelf: BundleShelf, folder: Path) -> None:
    damage(folder, SHIPPED)
    assert shelf.calibration(SHIPPED) == load_bundle(MODEL_DIR / SHIPPED).calibration
    damage(folder, SHIPPED, "calibration.json")
    with pytest.raises(BundleError, match=r"calibration\.json fails its sha256"):
        shelf.calibration(SHIPPED)
    for other in ("gone", "../elsewhere"):
        with pytest.raises(ModelNotFoundError):
            shelf.calibration(other)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("manifest.json", b"{", "not JSON"),
        ("manifest.json", b"[" * 100_000, "not JSON"),
        ("manifest.json", b"\xff", "not JSON"),
        ("manifest.json", b'{"format": 1, "training": NaN}', "not a valid manifest"),
        ("pnet.tflite", b"", "0 bytes instead of"),
        ("pnet.tflite", None, "missing"),
    ],
)
def test_a_damaged_bundle_is_listed_with_its_problem(
    shelf: BundleShelf, folder: Path, name: str, content: bytes | None, said: str
) -> None:
    add_version(folder, "whole")
    place = folder / SHIPPED / name
    place.unlink() if content is None else place.write_bytes(content)
    damaged, whole = shelf.summaries()
    assert (damaged.version, whole.problem) == (SHIPPED, None)
    assert said in (damaged.problem or "")
    with pytest.raises(BundleError):
        shelf.load(SHIPPED)


def test_a_manifest_that_cannot_be_read_is_a_problem(shelf: BundleShelf, folder: Path) -> None:
    (folder / "odd" / "manifest.json").mkdir(parents=True)
    odd = next(each for each in shelf.summaries() if each.version == "odd")
    assert "can't be read" in (odd.problem or "")


def test_a_number_that_json_does_not_know_in_an_otherwise_good_manifest(
    shelf: BundleShelf, folder: Path
) -> None:
    path = folder / SHIPPED / "manifest.json"
    document = json.loads(path.read_bytes())
    document["training"]["loss"] = float("nan")
    path.write_text(json.dumps(document))
    (summary,) = shelf.summaries()
    assert "not a valid manifest" in (summary.problem or "")


def test_a_renamed_bundle_is_refused(shelf: BundleShelf, folder: Path) -> None:
    (folder / SHIPPED).rename(folder / "renamed")
    (summary,) = shelf.summaries()
    assert SHIPPED in (summary.problem or "")
    with pytest.raises(BundleError, match="can't be renamed"):
        shelf.load("renamed")


@pytest.mark.parametrize("version", ["gone", "", ".", "..", "a/b", f".building-{SHIPPED}"])
def test_what_is_no_bundle_is_not_found(shelf: BundleShelf, version: str) -> None:
    for look in (shelf.load, shelf.describe):
        with pytest.raises(ModelNotFoundError):
            look(version)


def test_an_altered_network_is_refused_when_it_is_loaded(shelf: BundleShelf, folder: Path) -> None:
    damage(folder, SHIPPED)
    with pytest.raises(BundleError, match="fails its sha256"):
        shelf.load(SHIPPED)


def test_a_loaded_bundle_is_in_use_until_its_pipeline_is_gone(
    shelf: BundleShelf, folder: Path
) -> None:
    pipeline = shelf.load(SHIPPED)
    set_active(folder, "another")
    assert is_used(folder / SHIPPED)
    with pytest.raises(BundleError, match="in use"):
        dispose(folder, SHIPPED)
    del pipeline
    gc.collect()
    assert not is_used(folder / SHIPPED)
    dispose(folder, SHIPPED)
    assert [path.name for path in folder.iterdir()] == ["active"]


def test_a_bundle_that_is_being_deleted_cannot_be_used(folder: Path) -> None:
    with unused(folder / SHIPPED), pytest.raises(ModelNotFoundError, match="deleted"):
        hold(folder / SHIPPED, User())
    with pytest.raises(ModelNotFoundError):
        hold(folder / "gone", User())
    assert not is_used(folder / "gone")


def test_several_may_use_a_bundle(folder: Path) -> None:
    users = [User(), User()]
    for user in users:
        hold(folder / SHIPPED, user)
    del user
    users.pop()
    assert is_used(folder / SHIPPED)
    users.pop()
    assert not is_used(folder / SHIPPED)


def test_the_active_bundle_is_not_deleted(folder: Path) -> None:
    with pytest.raises(BundleError, match="active"):
        dispose(folder, SHIPPED)
    assert list_versions(folder) == [SHIPPED]


def test_a_deletion_that_fails_leaves_the_bundle_whole(
    shelf: BundleShelf, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    set_active(folder, "another")
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StorageError, match="Read-only"):
        dispose(folder, SHIPPED)
    shelf.load(SHIPPED)


def test_an_interrupted_deletion_shows_nothing_and_is_finished_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_active(folder, "another")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        dispose(folder, SHIPPED)
    assert list_versions(folder) == []
    assert len(list(folder.iterdir())) == 2
    clear_remains(folder)
    assert [path.name for path in folder.iterdir()] == ["active"]


@pytest.mark.parametrize("step", ["write_text", "replace"])
def test_a_pointer_that_cannot_be_written_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, step, full)
        with pytest.raises(StorageError, match="No space left"):
            set_active(folder, "another")
    assert read_pointer(folder) == SHIPPED
    assert sorted(path.name for path in folder.iterdir()) == ["active", SHIPPED]


@pytest.mark.parametrize("at", range(3))
def test_a_bundle_on_a_full_disk_is_never_visible(
    folder: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """While its files are made durable, when it is renamed, and when its name is made durable."""
    writer = BundleWriter(folder, "new")
    writer.add("one.bin", b"1")
    writer.add_json("manifest.json", {})
    calls = iter(range(10))
    original = os.fsync

    def fsync(descriptor: int) -> None:
        if next(calls) == at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match="No space left"):
            writer.publish()
    assert list_versions(folder) == [SHIPPED]
    assert read_pointer(folder) == SHIPPED
    load_active(folder)
    assert list_versions(BundleWriter(folder, "new").publish().parent) == [SHIPPED]
