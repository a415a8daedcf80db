"""`facetwin evaluate pairs`: accuracy and rates on the pairs that a CSV file lists."""

from pathlib import Path
from typing import Final

import numpy as np
from pydantic import BaseModel

from app.domain.calibration import Calibration
from app.domain.entities import FacePolicy
from app.domain.errors import UnsupportedFmrError
from app.domain.ports import FacePipeline
from app.training.embedding_set import Progress, embed_all
from app.training.evaluation.accuracy import ScoredPairs, cross_validated, drawn_folds
from app.training.evaluation.folder_report import (
    both_ways,
    notes_on,
    plot_sets,
    require_usable,
)
from app.training.evaluation.pair_list import read_pair_list
from app.training.evaluation.plots import PlotFolder
from app.training.evaluation.rates import (
    MAX_FMRS,
    RatesSection,
    measure_rates,
    percent,
)
from app.training.evaluation.sections import FailureSection, ModelSection
from app.training.metrics import Interval

FOLDS: Final = 10


class AccuracySection(BaseModel):
    """Shares of pairs judged rightly; a pair with a photo that could not be used is an error.

    Attributes:
        at_max_fmr: At the bundle's own thresholds, by `max_fmr`; null where it supports none.
        cross_validated: Each fold at the threshold that is best on the others; null with fewer
            than two pairs of a kind.
        standard_error: Of the cross-validated accuracy, from the spread of the folds.
        folds: How many folds there were.
    """

    at_max_fmr: dict[str, Interval | None]
    cross_validated: Interval | None
    standard_error: float | None
    folds: int

    def rows(self) -> list[tuple[str, str]]:
        """Measure and value, for a table."""
        priced = [
            (f"accuracy at max_fmr {fmr}", percent(rate) if rate else "unsupported by the bundle")
            for fmr, rate in self.at_max_fmr.items()
        ]
        best = self.cross_validated
        value = percent(best) if best else "too few pairs"
        return [*priced, (f"accuracy, {self.folds}-fold threshold", value)]


class PairsReport(BaseModel):
    """Accuracy and rates on listed pairs.

    Attributes:
        identities: Of the photos, as far as genuine pairs link them.
        failed_pairs: Pairs with a photo that could not be used.
        all_photos: A genuine pair that failed is an error.
        usable_photos: Pairs of usable photos only.
    """

    model: ModelSection
    face_policy: FacePolicy
    seed: int
    pairs: int
    identities: int
    failed_pairs: int
    failures: FailureSection
    accuracy: AccuracySection
    accuracy_usable: AccuracySection | None
    all_photos: RatesSection
    usable_photos: RatesSection | None
    plots: list[str]

    def rows(self) -> list[tuple[str, str, str]]:
        """The report as a table: measure, with failures as errors, of usable photos only."""
        others = self.accuracy_usable.rows() if self.accuracy_usable else []
        left_out = [value for _, value in others] or ["no pair could be compared"] * 3
        accuracy = [
            (name, value, other)
            for (name, value), other in zip(self.accuracy.rows(), left_out, strict=True)
        ]
        return accuracy + both_ways(self.all_photos, self.usable_photos)

    def notes(self) -> list[str]:
        """What a reader of the rates should know."""
        return notes_on(self.identities, self.failures)


def evaluate_pairs(
    pipeline: FacePipeline,
    pairs: Path,
    root: Path,
    *,
    policy: FacePolicy,
    seed: int,
    threads: int,
    plots: Path | None = None,
    progress: Progress | None = None,
) -> PairsReport:
    """Measure a bundle on listed pairs; each photo is embedded once, however often it is named.

    Args:
        pipeline: The bundle at work.
        pairs: CSV file with the header `a,b,same`.
        root: Folder that its paths are relative to.
        policy: Which face of a photo is meant.
        seed: Of drawing folds and of the bootstrap.
        threads: Photos in work at once.
        plots: Folder for ROC and DET plots.
        progress: Called with (done, total) after each photo.

    Raises:
        InvalidRequestError: If the file is not such a list, no impostor pair could be compared,
            or plots can't be drawn.
    """
    folder = PlotFolder.open(plots)
    root = root.resolve()
    listed = read_pair_list(pairs, root)
    photos = embed_all(pipeline, listed.images, threads=threads, policy=policy, progress=progress)
    decider = pipeline.decider
    scored = ScoredPairs.of(photos, (listed.first, listed.second), listed.same, decider)
    comparisons = scored.comparisons()
    require_usable(comparisons)
    calibration, made = decider.about(None).calibration, scored.made()
    left_out = made if made.same.any() else None
    return PairsReport(
        model=ModelSection.of(pipeline),
        face_policy=policy,
        seed=seed,
        pairs=len(listed.same),
        identities=len(np.unique(photos.identities)),
        failed_pairs=int(np.count_nonzero(~scored.usable)),
        failures=FailureSection.of(photos, root),
        accuracy=_accuracy(scored, calibration, seed),
        accuracy_usable=_accuracy(left_out, calibration, seed) if left_out else None,
        all_photos=measure_rates(comparisons, calibration, seed=seed),
        usable_photos=measure_rates(left_out.comparisons(), calibration, seed=seed)
        if left_out
        else None,
        plots=folder.write(plot_sets(comparisons), seed=seed) if folder else [],
    )


def _accuracy(pairs: ScoredPairs, calibration: Calibration, seed: int) -> AccuracySection:
    fold = drawn_folds(pairs.same, FOLDS, seed)
    count = int(fold.max()) + 1
    best = cross_validated(pairs, fold) if count > 1 else None
    return AccuracySection(
        at_max_fmr={f"{fmr:g}": _at_price(pairs, calibration, fmr, seed) for fmr in MAX_FMRS},
        cross_validated=pairs.accuracy(best.right, seed=seed) if best else None,
        standard_error=best.standard_error if best else None,
        folds=count,
    )


def _at_price(
    pairs: ScoredPairs, calibration: Calibration, max_fmr: float, seed: int
) -> Interval | None:
    try:
        threshold = calibration.operating_point(max_fmr, 1).threshold
    except UnsupportedFmrError:
        return None
    return pairs.accuracy(pairs.right_at(threshold), seed=seed)
