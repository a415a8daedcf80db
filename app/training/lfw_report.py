"""`facetwin evaluate lfw`: the report over both face policies."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from app.domain.decisions import Decider
from app.domain.entities import FacePolicy
from app.domain.ports import FacePipeline
from app.inference.bundle import load_active
from app.inference.decode import DecodeLimits
from app.inference.pipeline import Pipeline
from app.training.embedding_set import EmbeddingSet, embed_all
from app.training.lfw import Pair, lfw_root, million, read_images, read_pairs, view2

POLICY = FacePolicy.CENTRAL
"""LFW's photos are cropped around the named person."""


class ModelSection(BaseModel):
    """The bundle that was measured."""

    version: str
    fingerprint: str


class View2Section(BaseModel):
    """Accuracy over 10 folds of 600 pairs; a failed pair is an error."""

    accuracy: float
    standard_error: float
    folds: tuple[float, ...]
    equal_error_rate: float
    pairs: int
    failed_pairs: int


class MillionSection(BaseModel):
    """Rates over seeded impostor pairs; keys are false match rates."""

    tar_at_fmr: dict[str, float]
    tar_interval: dict[str, tuple[float, float]]
    observed_fmr: dict[str, float]
    equal_error_rate: float
    genuine_pairs: int
    impostor_pairs: int


class FailureSection(BaseModel):
    """Photos that could not be used."""

    images: int
    not_found: int
    inconclusive: dict[str, int]


class PolicySection(BaseModel):
    """All results under one face policy."""

    view2: View2Section
    million: MillionSection
    failures: FailureSection


class LfwReport(PolicySection):
    """The report; the top level holds the results under `face_policy`."""

    model: ModelSection
    face_policy: str
    seed: int
    prominent: PolicySection

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
    progress: Callable[[int, int], None] | None = None,
) -> LfwReport:
    """Measure the active bundle through the pipeline that serves."""
    root = lfw_root(data)
    pairs = read_pairs(root / "pairs.txt")
    pipeline = Pipeline(load_active(model_dir), engines=threads, limits=DecodeLimits())
    central = embed_all(
        pipeline, read_images(root), threads=threads, policy=POLICY, progress=progress
    )
    prominent = _prominent(pipeline, central, threads)
    decider = pipeline.decider
    return LfwReport(
        **dict(_section(central, pairs, decider, seed)),
        model=ModelSection(version=pipeline.version, fingerprint=pipeline.fingerprint),
        face_policy=POLICY.value,
        seed=seed,
        prominent=_section(prominent, pairs, decider, seed),
    )


def _prominent(pipeline: FacePipeline, central: EmbeddingSet, threads: int) -> EmbeddingSet:
    """The same photos under `prominent`: only those with several faces can differ."""
    rows = [i for i, m in enumerate(central.measures) if m.get("other_face", 0) > 0]
    again = embed_all(pipeline, [central.images[i] for i in rows], threads=threads)
    return central.replaced(np.array(rows, np.intp), again)


def _section(photos: EmbeddingSet, pairs: list[Pair], decider: Decider, seed: int) -> PolicySection:
    result = million(photos, decider, seed=seed)
    tars = result.tar_at_fmr
    reasons = [
        r for found, codes in zip(photos.found, photos.reasons, strict=True) if found for r in codes
    ]
    return PolicySection(
        view2=View2Section(**asdict(view2(photos, pairs, decider))),
        million=MillionSection(
            tar_at_fmr={f"{fmr:g}": tar.value for fmr, tar in tars.items()},
            tar_interval={f"{fmr:g}": (tar.low, tar.high) for fmr, tar in tars.items()},
            observed_fmr={f"{fmr:g}": value for fmr, value in result.observed_fmr.items()},
            equal_error_rate=result.equal_error_rate,
            genuine_pairs=result.genuine_pairs,
            impostor_pairs=result.impostor_pairs,
        ),
        failures=FailureSection(
            images=len(photos.images),
            not_found=int(np.count_nonzero(~photos.found)),
            inconclusive={code: reasons.count(code) for code in sorted(set(reasons))},
        ),
    )


def _rows(section: PolicySection) -> list[tuple[str, str]]:
    v, m, f = section.view2, section.million, section.failures
    tars = [
        (
            f"TAR at FMR {fmr}",
            f"{tar:.2%} ({m.tar_interval[fmr][0]:.2%} to {m.tar_interval[fmr][1]:.2%})",
        )
        for fmr, tar in m.tar_at_fmr.items()
    ]
    priced = [
        (f"observed FMR at max_fmr {target}", f"{m.observed_fmr[target]:.2g}")
        for target in ("0.01", "0.001")
        if target in m.observed_fmr
    ]
    return [
        ("View 2 accuracy", f"{v.accuracy:.2%} +- {v.standard_error:.2%}"),
        ("View 2 EER", f"{v.equal_error_rate:.2%}"),
        ("View 2 failed pairs", f"{v.failed_pairs} of {v.pairs}"),
        *tars,
        *priced,
        ("million EER", f"{m.equal_error_rate:.2%}"),
        ("genuine / impostor pairs", f"{m.genuine_pairs} / {m.impostor_pairs}"),
        ("faces not found", f"{f.not_found} of {f.images}"),
        ("inconclusive", ", ".join(f"{k} {v}" for k, v in f.inconclusive.items()) or "0"),
    ]
