"""`facetwin evaluate lfw`: the report over both face policies."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from app.domain.entities import FacePolicy
from app.domain.ports import FacePipeline
from app.inference.bundle import load_active
from app.inference.decode import DecodeLimits
from app.inference.pipeline import Pipeline
from app.training.embedding_set import EmbeddingSet, Progress, embed_all
from app.training.evaluation.pairing import compare
from app.training.evaluation.plots import PlotFolder
from app.training.evaluation.rates import RatesSection, measure_rates
from app.training.evaluation.sections import FailureSection, ModelSection
from app.training.lfw import Pair, lfw_root, read_images, read_pairs, view2
from app.training.metrics import Interval

POLICY = FacePolicy.CENTRAL
"""LFW's photos are cropped around the named person."""


class View2Section(BaseModel):
    """Accuracy over 10 folds of 600 pairs; a failed pair is an error (see `lfw.View2`)."""

    accuracy: float
    standard_error: float
    interval: Interval
    folds: tuple[float, ...]
    equal_error_rate: float
    pairs: int
    failed_pairs: int


class PolicySection(BaseModel):
    """All results under one face policy."""

    view2: View2Section
    million: RatesSection
    failures: FailureSection


class LfwReport(PolicySection):
    """The report; the top level holds the results under `face_policy`."""

    model: ModelSection
    face_policy: str
    seed: int
    prominent: PolicySection
    plots: list[str]

    def rows(self) -> list[tuple[str, str, str]]:
        """The report as a table: measure, under `face_policy`, under `prominent`."""
        return [
            (name, first, second)
            for (name, first), (_, second) in zip(_rows(self), _rows(self.prominent), strict=True)
        ]


def evaluate_lfw(
    model_dir: Path,
    data: Path,
    *,
    seed: int,
    threads: int,
    plots: Path | None = None,
    progress: Progress | None = None,
) -> LfwReport:
    """Measure the active bundle through the pipeline that serves.

    Raises:
        InvalidRequestError: If `data` holds no LFW, or plots can't be drawn.
    """
    folder = PlotFolder.open(plots)
    root = lfw_root(data)
    pairs = read_pairs(root / "pairs.txt")
    pipeline = Pipeline(load_active(model_dir), engines=threads, limits=DecodeLimits())
    central = embed_all(
        pipeline, read_images(root), threads=threads, policy=POLICY, progress=progress
    )
    prominent = _prominent(pipeline, central, threads)
    return lfw_report(pipeline, root, pairs, (central, prominent), seed=seed, plots=folder)


def lfw_report(
    pipeline: FacePipeline,
    root: Path,
    pairs: list[Pair],
    photos: tuple[EmbeddingSet, EmbeddingSet],
    *,
    seed: int,
    plots: PlotFolder | None = None,
) -> LfwReport:
    """The report of photos embedded under `POLICY` and under `prominent`."""
    decider = pipeline.decider
    compared = [compare(each, decider, seed=seed) for each in photos]
    central, prominent = (
        PolicySection(
            view2=View2Section(**asdict(view2(each, pairs, decider))),
            million=measure_rates(comparisons, decider.about(None).calibration, seed=seed),
            failures=FailureSection.of(each, root / "images"),
        )
        for each, comparisons in zip(photos, compared, strict=True)
    )
    names = plots.write({f"LFW, face policy {POLICY}": compared[0]}, seed=seed) if plots else []
    return LfwReport(
        **dict(central),
        model=ModelSection.of(pipeline),
        face_policy=POLICY.value,
        seed=seed,
        prominent=prominent,
        plots=names,
    )


def _prominent(pipeline: FacePipeline, central: EmbeddingSet, threads: int) -> EmbeddingSet:
    """The same photos under `prominent`: only those with several faces can differ."""
    rows = [i for i, m in enumerate(central.measures) if m.get("other_face", 0) > 0]
    again = embed_all(pipeline, [central.images[i] for i in rows], threads=threads)
    return central.replaced(np.array(rows, np.intp), again)


def _rows(section: PolicySection) -> list[tuple[str, str]]:
    v = section.view2
    return [
        ("View 2 accuracy", f"{v.accuracy:.2%} +- {v.standard_error:.2%} (standard error)"),
        ("95 % by identities", f"{v.interval.low:.2%} to {v.interval.high:.2%}"),
        ("View 2 EER", f"{v.equal_error_rate:.2%}"),
        ("View 2 failed pairs", f"{v.failed_pairs} of {v.pairs}"),
        *section.million.rows(),
        *section.failures.rows(),
    ]
