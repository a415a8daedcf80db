"""A model folder of its own with the shipped bundle, and altered copies of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from app.domain.entities import FacePolicy
from app.inference.bundle import CALIBRATION, GOLDEN, active_version, load_bundle, set_active
from app.inference.decode import DecodeLimits
from app.inference.pipeline import Pipeline
from app.training.bundle_writer import BundleWriter
from tests.conftest import MODEL_DIR

SHIPPED = active_version(MODEL_DIR)
_HEADS = {"format", "version", "created", "files", "fingerprint", "checksum"}


def copy_shipped(model_dir: Path) -> None:
    """The shipped bundle, without the file that only training reads, and active."""
    add_version(model_dir, SHIPPED)
    set_active(model_dir, SHIPPED)


def add_version(
    model_dir: Path,
    version: str,
    *,
    shift: float = 0.0,
    source: Path = MODEL_DIR / SHIPPED,
    preset: str | None = None,
    subject: str | None = None,
) -> Path:
    """A copy of the shipped bundle, or of another one, under another name.

    With `shift` the face is aligned that many pixels lower, so that it has another fingerprint;
    its golden embeddings are its own. With `preset` it says that it was made so,
    with `subject` that it was calibrated on that one.
    """
    document: dict[str, Any] = json.loads((source / "manifest.json").read_bytes())
    sections = {name: value for name, value in document.items() if name not in _HEADS}
    points = np.add(sections["alignment"]["points"], (0.0, shift))
    sections["alignment"] |= {"points": points.tolist()}
    sections["preset"] = preset or sections["preset"]
    writer = BundleWriter(model_dir, version)
    for name in document["files"]:
        if not name.endswith(".keras"):
            writer.add(name, (source / name).read_bytes())
    if subject:
        calibration = json.loads((source / CALIBRATION).read_bytes())
        writer.add_json(CALIBRATION, calibration | {"subject": subject})
    writer.manifest(sections)
    if shift:
        _renew_golden(writer, sections)
    return writer.publish()


def _renew_golden(writer: BundleWriter, sections: dict[str, Any]) -> None:
    pipeline = Pipeline(load_bundle(writer.directory), engines=1, limits=DecodeLimits())
    entries = json.loads((writer.directory / GOLDEN).read_bytes())
    for entry in entries:
        photo = (writer.directory / entry["file"]).read_bytes()
        entry["embedding"] = pipeline.analyze(photo, FacePolicy.PROMINENT).embedding.tolist()
    writer.add_json(GOLDEN, entries)
    writer.manifest(sections)


def damage(model_dir: Path, version: str, name: str = "embedding.tflite") -> None:
    """Change a byte of a file."""
    path = model_dir / version / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def remove(model_dir: Path, version: str) -> None:
    """Delete a bundle behind everybody's back."""
    shutil.rmtree(model_dir / version)
