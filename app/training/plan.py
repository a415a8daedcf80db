"""What to build, and from what."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from app.domain.errors import BundleError
from app.training.datasets import CelebA, LabelledImage, read_folder
from app.training.lfw import lfw_root

Report = Callable[[str, int, int], None]
"""Told (stage, done, total)."""

SEED: Final = 20261123


@dataclass(frozen=True, slots=True)
class Plan:
    """A build of the default bundle.

    Attributes:
        data: Folder with `celeba-wild`, `celeba-small` and `lfw` (read for screening only).
        pictures: Folder of public-domain portraits that become the golden images.
        model_dir: Where bundles lie.
        version: Name of the new bundle.
        celeba: Whether a second end, the commonness and a head are trained on CelebA.
        threads: Photos in work at once.
        report: Told about progress.
    """

    data: Path
    pictures: Path
    model_dir: Path
    version: str
    celeba: bool = True
    threads: int = 2
    report: Report = field(default=lambda _stage, _done, _total: None)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a build reads, found before anything is computed.

    Attributes:
        celeba: Trains, validates and calibrates.
        strangers: LFW's photos, read for screening only.
        portraits: Files that become the golden images.
    """

    celeba: CelebA
    strangers: list[LabelledImage]
    portraits: list[LabelledImage]

    @classmethod
    def find(cls, plan: Plan) -> "Inputs":
        """List all files.

        Raises:
            FacetwinError: If a folder is missing or empty.
        """
        portraits = [LabelledImage(p, p.stem) for p in sorted(plan.pictures.glob("*.jpg"))]
        if not portraits:
            raise BundleError(f"{plan.pictures} holds no portraits for the golden images.")
        strangers = read_folder(lfw_root(plan.data) / "images")
        return cls(CelebA.read(plan.data), strangers, portraits)
