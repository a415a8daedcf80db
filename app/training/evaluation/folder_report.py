"""`facetwin evaluate folder`: rates on photos in one folder per identity."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import BaseModel

from app.domain.entities import FacePolicy
from app.domain.errors import InvalidRequestError
from app.domain.images import FOREIGN_SUFFIXES, IMAGE_SUFFIXES
from app.domain.ports import FacePipeline
from app.training.datasets import LabelledImage
from app.training.embedding_set import Progress, embed_all
from app.training.evaluation.curves import Comparisons
from app.training.evaluation.pairing import GENUINE_PAIRS_PER_IDENTITY, compare
from app.training.evaluation.plots import PlotFolder
from app.training.evaluation.rates import RatesSection, measure_rates
from app.training.evaluation.sections import FailureSection, ModelSection

FEW_IDENTITIES: Final = 20
"""With fewer, a bootstrap over identities gives intervals that are too narrow."""

_PHOTO_SUFFIXES: Final = IMAGE_SUFFIXES | FOREIGN_SUFFIXES


class FolderReport(BaseModel):
    """The rates of an identity-per-folder set.

    Attributes:
        all_photos: A genuine pair with a photo that could not be used is an error.
        usable_photos: Pairs of usable photos only.
    """

    model: ModelSection
    face_policy: FacePolicy
    seed: int
    identities: int
    failures: FailureSection
    all_photos: RatesSection
    usable_photos: RatesSection | None
    plots: list[str]

    def rows(self) -> list[tuple[str, str, str]]:
        """The report as a table: measure, with failures as errors, of usable photos only."""
        return both_ways(self.all_photos, self.usable_photos)

    def notes(self) -> list[str]:
        """What a reader of the rates should know."""
        return notes_on(self.identities, self.failures)


def both_ways(counted: RatesSection, left_out: RatesSection | None) -> list[tuple[str, str, str]]:
    """Rates with failures as errors beside those without the failures."""
    others = [value for _, value in left_out.rows()] if left_out else None
    return [
        (name, value, others[i] if others else "no pair could be compared")
        for i, (name, value) in enumerate(counted.rows())
    ]


def notes_on(identities: int, failures: FailureSection) -> list[str]:
    """Remarks on few identities and on files that could not be read."""
    notes = [f"invalid image: {name}" for name in failures.invalid]
    if identities < FEW_IDENTITIES:
        notes.append(
            f"{identities} identities are few: the intervals are narrower than the truth. "
            f"Use at least {FEW_IDENTITIES}, better hundreds."
        )
    return notes


def evaluate_folder(
    pipeline: FacePipeline,
    data: Path,
    *,
    policy: FacePolicy,
    per_identity: int = GENUINE_PAIRS_PER_IDENTITY,
    seed: int,
    threads: int,
    plots: Path | None = None,
    progress: Progress | None = None,
) -> FolderReport:
    """Measure a bundle on `data/<identity>/*`.

    Args:
        pipeline: The bundle at work.
        data: The set.
        policy: Which face of a photo is meant.
        per_identity: Most genuine pairs of one identity.
        seed: Of drawing pairs and of the bootstrap.
        threads: Photos in work at once.
        plots: Folder for ROC and DET plots.
        progress: Called with (done, total) after each photo.

    Raises:
        InvalidRequestError: If the folder is not such a set, if there is nothing to compare, or
            if plots can't be drawn.
    """
    folder = PlotFolder.open(plots)
    images = read_people(data)
    require_pairs(images, data)
    photos = embed_all(pipeline, images, threads=threads, policy=policy, progress=progress)
    comparisons = compare(photos, pipeline.decider, seed=seed, per_identity=per_identity)
    require_usable(comparisons)
    calibration = pipeline.decider.about(None).calibration
    made = comparisons.made()
    return FolderReport(
        model=ModelSection.of(pipeline),
        face_policy=policy,
        seed=seed,
        identities=len(np.unique(photos.identities)),
        failures=FailureSection.of(photos, data),
        all_photos=measure_rates(comparisons, calibration, seed=seed),
        usable_photos=measure_rates(made, calibration, seed=seed) if len(made.genuine) else None,
        plots=folder.write(plot_sets(comparisons), seed=seed) if folder else [],
    )


def plot_sets(comparisons: Comparisons) -> dict[str, Comparisons]:
    """What is drawn: with failures as errors and, if there were any, without them."""
    sets = {"failures are errors": comparisons}
    made = comparisons.made()
    if 0 < len(made.genuine) < len(comparisons.genuine):
        sets["usable photos only"] = made
    return sets


def read_people(data: Path) -> list[LabelledImage]:
    """All photos of `data/<identity>/`, in alphabetical order, also of kinds that are not read.

    Raises:
        InvalidRequestError: If there are none, or if one lies elsewhere under `data`.
    """
    images = []
    for path in sorted(data.rglob("*")):
        parts = path.relative_to(data).parts
        hidden = any(part.startswith(".") for part in parts)
        if hidden or path.suffix.lower() not in _PHOTO_SUFFIXES or path.is_dir():
            continue
        if len(parts) != 2:
            where = "lies deeper" if len(parts) > 2 else "is in no folder of an identity"
            raise InvalidRequestError(
                f"{'/'.join(parts)} {where}: every photo must be {data}/<identity>/<photo>."
            )
        images.append(LabelledImage(path, parts[0]))
    if not images:
        raise InvalidRequestError(
            f"{data} holds no photos; put those of each person into a folder of their own: "
            f"{data}/<identity>/<photo>."
        )
    return images


def require_pairs(images: Sequence[LabelledImage], data: Path) -> None:
    """Refuse a set that has no genuine or no impostor pair.

    Raises:
        InvalidRequestError: If so.
    """
    identities = {image.identity for image in images}
    if len(identities) == 1:
        raise InvalidRequestError(
            f"{data} holds photos of one identity only; impostor pairs need two or more."
        )
    if len(identities) == len(images):
        raise InvalidRequestError(
            f"{data} holds one photo of each identity; genuine pairs need two or more of one."
        )


def require_usable(comparisons: Comparisons) -> None:
    """Refuse a set of whose photos too few could be used.

    Raises:
        InvalidRequestError: If there is no genuine or no impostor comparison.
    """
    if not len(comparisons.genuine):
        raise InvalidRequestError(
            "No genuine pair could be compared: no two photos of one person could be used."
        )
    if not len(comparisons.impostor):
        raise InvalidRequestError(
            "No impostor pair could be compared: the photos of fewer than two people could be used."
        )
