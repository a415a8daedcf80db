"""Bundles: folders `model/<version>/`, and the file `model/active` that names one of them.

A bundle is used only after every sha256 in its manifest has been checked. Serving reads .tflite
and JSON files from it, nothing that could carry code.
"""

import hashlib
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from app.domain.calibration import Calibration
from app.domain.errors import BundleError, ModelNotFoundError, StorageError
from app.inference.manifest import (
    FORMAT,
    CalibrationDocument,
    Manifest,
    checksum_of,
    fingerprint_of,
)

MANIFEST: Final = "manifest.json"
CALIBRATION: Final = "calibration.json"
GOLDEN: Final = "golden.json"
ACTIVE: Final = "active"

_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Other folders are not bundles, but what someone is building or has begun to delete."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A checked bundle.

    Attributes:
        directory: Where it lies.
        networks: Content of the .tflite files by file name.
        golden: Image bytes and the embedding (list of floats) they must give.
    """

    directory: Path
    manifest: Manifest
    calibration: Calibration
    networks: dict[str, bytes]
    golden: tuple[tuple[bytes, list[float]], ...]


def list_versions(model_dir: Path) -> list[str]:
    """Names of the bundles in a model folder, in alphabetical order."""
    if not model_dir.is_dir():
        return []
    names = (p.parent.name for p in model_dir.glob(f"*/{MANIFEST}"))
    return sorted(name for name in names if _VERSION.fullmatch(name))


def read_pointer(model_dir: Path) -> str | None:
    """What the file `active` says, be it a bundle or not; None if it can't be read."""
    try:
        return (model_dir / ACTIVE).read_text("utf-8").strip()
    except (OSError, UnicodeError):
        return None


def active_version(model_dir: Path) -> str:
    """The bundle that serves.

    Raises:
        ModelNotFoundError: If the file `active` is missing or names no bundle.
    """
    try:
        version = (model_dir / ACTIVE).read_text("utf-8").strip()
    except FileNotFoundError:
        raise ModelNotFoundError(
            f"No model is active: {(model_dir / ACTIVE).absolute()} is missing. Start from the "
            "folder of Facetwin, or set FACETWIN_MODEL_DIR to its folder model."
        ) from None
    if version not in list_versions(model_dir):
        raise ModelNotFoundError(
            f"The active model {version!r} does not exist in {model_dir}.", version=version
        )
    return version


def set_active(model_dir: Path, version: str) -> None:
    """Point the file `active` at a bundle, durably and in one rename.

    Raises:
        StorageError: If it can't be written; then it is as it was.
    """
    # Of this call alone: another process, in a container under the same number, may set it at the
    # same time, and the last one wins.
    draft = model_dir / f".{ACTIVE}.{token_hex(4)}"
    try:
        draft.write_text(version + "\n", "utf-8")
        flush(draft)
        draft.replace(model_dir / ACTIVE)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise StorageError(
            f"{model_dir / ACTIVE} can't be written: {error.strerror}. The model that was active "
            "stays so."
        ) from error
    # It is renamed. Should even that be lost with the power, the old name stands there, whole.
    with suppress(OSError):
        flush(model_dir)


def flush(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_active(model_dir: Path) -> Bundle:
    """Load the bundle that `active` names; raises as `active_version` and `load_version`."""
    return load_version(model_dir, active_version(model_dir))


def load_version(model_dir: Path, version: str) -> Bundle:
    """Check and load a bundle by its name.

    Raises:
        ModelNotFoundError: If there is none of this name.
        BundleError: As `load_bundle` does, and if its folder was renamed or copied.
    """
    if version not in list_versions(model_dir):
        raise ModelNotFoundError(f"{model_dir} holds no model {version!r}.", version=version)
    bundle = load_bundle(model_dir / version)
    if bundle.manifest.version != version:
        raise BundleError(
            f"The folder {version} holds the bundle {bundle.manifest.version}: a bundle is known "
            "by the name in its manifest, so its folder can't be renamed."
        )
    return bundle


def load_bundle(directory: Path) -> Bundle:
    """Check and load a bundle.

    Raises:
        BundleError: If a file is missing, altered, or not understood. The message names it.
        ModelNotFoundError: If there is no bundle.
    """
    manifest = read_manifest(directory)
    content = {
        name: _checked(directory, name, entry.sha256)
        for name, entry in manifest.files.items()
        if not is_left_out(directory, name, manifest)
    }
    try:
        document = CalibrationDocument.model_validate_json(content[CALIBRATION])
        golden = tuple(
            (content[item["file"]], item["embedding"]) for item in json.loads(content[GOLDEN])
        )
    except (KeyError, ValueError) as error:
        raise BundleError(f"The bundle {directory.name} is incomplete: {error}") from error
    if any(len(embedding) != manifest.embedding.dimension for _image, embedding in golden):
        raise BundleError(f"{GOLDEN} of {directory.name} is not of its embedding's dimension.")
    networks = {name: data for name, data in content.items() if name.endswith(".tflite")}
    return Bundle(directory, manifest, document.calibration(), networks, golden)


def read_manifest(directory: Path) -> Manifest:
    """What a bundle says about itself; its files are not looked at.

    Raises:
        BundleError: If it is altered or not understood.
        ModelNotFoundError: If there is no bundle.
    """
    path = directory / MANIFEST
    content = _content(path)
    try:
        document: dict[str, Any] = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BundleError(f"{path} is not a bundle of format {FORMAT}.")
    try:
        manifest = Manifest.model_validate_json(content)
        expected, checksum = fingerprint_of(document), checksum_of(document)
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path} is not a valid manifest: {error}") from error
    if checksum != manifest.checksum:
        raise BundleError(f"{path} was altered: its checksum does not match.")
    if expected != manifest.fingerprint:
        raise BundleError(f"{path} was altered: its fingerprint does not match.")
    return manifest


def read_calibration(directory: Path) -> Calibration:
    """What a bundle prices; its other files are not looked at.

    Raises:
        BundleError: If that, or the manifest, is altered or not understood.
        ModelNotFoundError: If there is no bundle.
    """
    manifest = read_manifest(directory)
    try:
        content = _checked(directory, CALIBRATION, manifest.files[CALIBRATION].sha256)
        return CalibrationDocument.model_validate_json(content).calibration()
    except (KeyError, ValueError) as error:
        raise BundleError(f"The bundle {directory.name} is incomplete: {error}") from error


def is_left_out(directory: Path, name: str, manifest: Manifest) -> bool:
    """Whether it is the Keras network and lacks: an installation that can't train does without."""
    return name == manifest.embedding.keras and not os.path.lexists(directory / name)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelNotFoundError(
            f"{path.parent} holds no bundle: {path.name} is missing.", version=path.parent.name
        ) from None
    except OSError as error:
        raise BundleError(f"{path} can't be read: {error.strerror}.") from error


def _checked(directory: Path, name: str, sha256: str) -> bytes:
    path = directory / name
    if not path.resolve().is_relative_to(directory.resolve()):
        raise BundleError(f"The bundle {directory.name} names a file outside itself: {name}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BundleError(f"The bundle {directory.name} lacks {name}: {error.strerror}.") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise BundleError(f"The bundle {directory.name} was altered: {name} fails its sha256.")
    return data
