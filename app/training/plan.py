"""What to build, and from what."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

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
        celeba: Whether a head is trained on CelebA; without, no weight has seen CelebA.
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
