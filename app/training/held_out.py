"""Does a calibration hold on people it has not seen? FMR and FNMR on CelebA's test identities."""

from pathlib import Path

import numpy as np
from pydantic import BaseModel

from app.domain.calibration import OperatingPoint
from app.inference.bundle import load_active
from app.inference.decode import DecodeLimits
from app.inference.pipeline import Pipeline
from app.training.calibrate import DRAWS, ROUNDS, measured_point
from app.training.datasets import CelebA, Side
from app.training.embedding_set import EmbeddingSet, Progress, embed_all
from app.training.metrics import bootstrap_weights
from app.training.trials import bucket_trials

TARGETS = (0.01, 0.001)


class HeldOutRow(BaseModel):
    """One operating point on held-out people, beside what the bundle states.

    Attributes:
        inside: Whether the observed rate lies in the stated interval.
        consistent: Whether its own interval and the stated one overlap; people differ, so the
            rate observed on a few dozen of them is uncertain too.
    """

    bucket: str
    target_fmr: float
    threshold: float
    stated_fmr: float
    stated_interval: tuple[float, float]
    observed_fmr: float
    observed_interval: tuple[float, float]
    observed_fnmr: float
    inside: bool
    consistent: bool


class HeldOutReport(BaseModel):
    """The rates of every supported bucket at `TARGETS`."""

    version: str
    photos: int
    identities: int
    not_found: int
    inconclusive: int
    rows: list[HeldOutRow]


def evaluate_held_out(
    model_dir: Path,
    data: Path,
    *,
    seed: int,
    threads: int,
    progress: Progress | None = None,
) -> HeldOutReport:
    """Measure the active bundle on CelebA's test identities, which nothing was fitted to."""
    pipeline = Pipeline(load_active(model_dir), engines=threads, limits=DecodeLimits())
    images = CelebA.read(data).side(Side.TEST)
    photos = embed_all(pipeline, images, threads=threads, progress=progress)
    return HeldOutReport(
        version=pipeline.version,
        photos=len(images),
        identities=len(np.unique(photos.identities)),
        not_found=int(np.count_nonzero(~photos.found)),
        inconclusive=int(np.count_nonzero(photos.found & ~photos.usable)),
        rows=held_out_rows(photos, pipeline, seed=seed),
    )


def held_out_rows(photos: EmbeddingSet, pipeline: Pipeline, *, seed: int) -> list[HeldOutRow]:
    """Every supported bucket at `TARGETS`."""
    rows = []
    weights = bootstrap_weights(int(photos.identities.max()) + 1, ROUNDS, seed)
    for bucket, points in pipeline.decider.about(None).calibration.buckets.items():
        chosen = [point for point in points if point.target_fmr in TARGETS]
        if not chosen:
            continue
        trials = bucket_trials(photos, pipeline.decider, bucket, draws=DRAWS[bucket], seed=seed)
        for stated in chosen:
            observed = measured_point(trials, weights, stated.target_fmr, stated.threshold)
            rows.append(_row(bucket, stated, observed))
    return rows


def _row(bucket: str, stated: OperatingPoint, observed: OperatingPoint) -> HeldOutRow:
    (low, high), (own_low, own_high) = stated.fmr_interval, observed.fmr_interval
    return HeldOutRow(
        bucket=bucket,
        target_fmr=stated.target_fmr,
        threshold=stated.threshold,
        stated_fmr=stated.fmr,
        stated_interval=(low, high),
        observed_fmr=observed.fmr,
        observed_interval=(own_low, own_high),
        observed_fnmr=observed.fnmr,
        inside=low <= observed.fmr <= high,
        consistent=own_low <= high and low <= own_high,
    )
