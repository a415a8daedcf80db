"""The folder of bundles, as `domain.ports.Bundles` names it."""

from pathlib import Path

from app.domain.calibration import Calibration
from app.domain.errors import BundleError, ModelNotFoundError
from app.domain.models import BundleDescription, BundleSummary
from app.inference.bundle import (
    is_left_out,
    list_versions,
    load_version,
    read_calibration,
    read_manifest,
    read_pointer,
    set_active,
)
from app.inference.bundle_lock import hold
from app.inference.decode import DecodeLimits
from app.inference.manifest import Manifest
from app.inference.pipeline import Pipeline

CARD = "model_card.md"


class BundleShelf:
    """The bundles of a model folder.

    Args:
        model_dir: The folder.
        engines: How many photos a loaded pipeline can have in work at once.
        limits: What such a pipeline accepts for decoding.
    """

    def __init__(self, model_dir: Path, engines: int, limits: DecodeLimits) -> None:
        self._model_dir = model_dir
        self._engines = engines
        self._limits = limits

    def pointer(self) -> str | None:
        """What the file `active` says; None if it can't be read."""
        return read_pointer(self._model_dir)

    def point_to(self, version: str) -> None:
        """Have the file `active` name a bundle."""
        set_active(self._model_dir, version)

    def versions(self) -> list[str]:
        """Names of the bundles, in alphabetical order."""
        return list_versions(self._model_dir)

    def load(self, version: str) -> Pipeline:
        """Check every file of a bundle and load it; nobody deletes it while the pipeline lives."""
        bundle = load_version(self._model_dir, version)
        pipeline = Pipeline(bundle, engines=self._engines, limits=self._limits)
        hold(self._model_dir / version, pipeline)
        return pipeline

    def calibration(self, version: str) -> Calibration:
        """What a bundle prices."""
        return read_calibration(self._folder(version))

    def summaries(self) -> list[BundleSummary]:
        """What is known of each bundle without reading its networks; a damaged one too."""
        return [self._summary(version) for version in self.versions()]

    def describe(self, version: str) -> BundleDescription:
        """Manifest and model card."""
        directory = self._folder(version)
        manifest = read_manifest(directory)
        try:
            card = (directory / CARD).read_text("utf-8")
        except (OSError, UnicodeError):
            card = ""
        return BundleDescription(manifest.model_dump(mode="json"), card)

    def _folder(self, version: str) -> Path:
        if version not in self.versions():
            raise ModelNotFoundError(f"There is no model {version!r}.", version=version)
        return self._model_dir / version

    def _summary(self, version: str) -> BundleSummary:
        directory = self._model_dir / version
        try:
            manifest = read_manifest(directory)
        except (BundleError, ModelNotFoundError) as error:
            return BundleSummary(version, bytes=_size(directory), problem=error.message)
        return BundleSummary(
            version,
            manifest.fingerprint,
            manifest.created,
            manifest.preset,
            manifest.licence,
            _size(directory),
            _problem(directory, manifest),
        )


def _problem(directory: Path, manifest: Manifest) -> str | None:
    if manifest.version != directory.name:
        return f"The folder holds the bundle {manifest.version}; it was renamed or copied."
    for name, entry in manifest.files.items():
        if is_left_out(directory, name, manifest):
            continue
        try:
            size = (directory / name).stat().st_size
        except OSError as error:
            return f"{name} is missing: {error.strerror}."
        if size != entry.bytes:
            return f"{name} was altered: it has {size} bytes instead of {entry.bytes}."
    return None


def _size(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total
