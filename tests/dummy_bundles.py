"""A stand-in for the folder of bundles: dummy pipelines by version, and a real pointer file."""

from collections.abc import Callable
from pathlib import Path

from app.domain.calibration import Calibration
from app.domain.errors import ModelNotFoundError
from app.domain.models import BundleDescription, BundleSummary
from app.inference.bundle import read_pointer, set_active
from tests.dummy_pipeline import DummyPipeline

FINGERPRINTS = {"one": "1" * 64, "two": "2" * 64, "three": "3" * 64}


class DummyBundles:
    """Implements `app.domain.ports.Bundles`.

    Attributes:
        made: What makes the pipeline of a version; a test may put another function there.
        pointed: Called before the pointer is written.
    """

    def __init__(self, folder: Path, active: str = "one") -> None:
        self.folder = folder
        self.made: dict[str, Callable[[], DummyPipeline]] = {
            version: lambda v=version, f=fingerprint: DummyPipeline(version=v, fingerprint=f)  # type: ignore[misc]
            for version, fingerprint in FINGERPRINTS.items()
        }
        self.pointed: Callable[[str], None] = lambda _version: None
        folder.mkdir(parents=True, exist_ok=True)
        set_active(folder, active)

    def pointer(self) -> str | None:
        return read_pointer(self.folder)

    def point_to(self, version: str) -> None:
        self.pointed(version)
        set_active(self.folder, version)

    def versions(self) -> list[str]:
        return sorted(self.made)

    def load(self, version: str) -> DummyPipeline:
        if version not in self.made:
            raise ModelNotFoundError(f"There is no model {version!r}.", version=version)
        return self.made[version]()

    def calibration(self, version: str) -> Calibration:
        return self.load(version).decider.calibration

    def summaries(self) -> list[BundleSummary]:
        return [BundleSummary(v, FINGERPRINTS.get(v)) for v in self.versions()]

    def describe(self, version: str) -> BundleDescription:
        if version not in self.made:
            raise ModelNotFoundError(f"There is no model {version!r}.", version=version)
        return BundleDescription({"version": version}, f"# {version}")
