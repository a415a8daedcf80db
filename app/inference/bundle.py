"""Bundles: folders `model/<version>/`, and the file `model/active` that names one of them.

A bundle is used only after every sha256 in its manifest has been checked. Serving reads .tflite
and JSON files from it, nothing that could carry code.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from app.domain.calibration import Calibration
from app.domain.errors import BundleError, ModelNotFoundError
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
    return sorted(p.parent.name for p in model_dir.glob(f"*/{MANIFEST}"))


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


def load_active(model_dir: Path) -> Bundle:
    """Load the bundle that `active` names; raises as `active_version` and `load_bundle`."""
    return load_bundle(model_dir / active_version(model_dir))


def load_bundle(directory: Path) -> Bundle:
    """Check and load a bundle.

    Raises:
        BundleError: If a file is missing, altered, or not understood. The message names it.
        ModelNotFoundError: If there is no bundle.
    """
    manifest = _read_manifest(directory)
    content = {
        name: _checked(directory, name, entry.sha256) for name, entry in manifest.files.items()
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


def _read_manifest(directory: Path) -> Manifest:
    path = directory / MANIFEST
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ModelNotFoundError(
            f"{directory} holds no bundle: {MANIFEST} is missing.", version=directory.name
        ) from None
    except ValueError as error:
        raise BundleError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BundleError(f"{path} is not a bundle of format {FORMAT}.")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
        expected = fingerprint_of(document)
    except (ValidationError, KeyError, TypeError) as error:
        raise BundleError(f"{path} is not a valid manifest: {error}") from error
    if checksum_of(document) != manifest.checksum:
        raise BundleError(f"{path} was altered: its checksum does not match.")
    if expected != manifest.fingerprint:
        raise BundleError(f"{path} was altered: its fingerprint does not match.")
    return manifest


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
