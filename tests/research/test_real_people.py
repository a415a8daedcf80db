"""Real genuine and impostor pairs. Run by `make test-research`; the data is never committed."""

import os
from pathlib import Path

import pytest

from app.domain.entities import FacePolicy
from app.inference.pipeline import Pipeline
from app.training.datasets import CelebA, LabelledImage, Side
from app.training.embedding_set import embed_all
from app.training.held_out import held_out_rows
from app.training.lfw import Pair, lfw_root, read_pairs, view2

pytestmark = pytest.mark.research

THREADS = min(2, os.cpu_count() or 1)


def test_a_thousand_lfw_pairs(data: Path, pipeline: Pipeline) -> None:
    """The first 50 genuine and 50 impostor pairs of each fold, failures being errors."""
    root = lfw_root(data)
    every = read_pairs(root / "pairs.txt")
    pairs = [p for i, p in enumerate(every) if i % 300 < 50]
    assert len(pairs) == 1000
    assert sum(p.same for p in pairs) == 500
    photos = embed_all(pipeline, _images(root, pairs), threads=THREADS, policy=FacePolicy.CENTRAL)
    assert view2(photos, pairs, pipeline.decider).accuracy >= 0.985


def _images(root: Path, pairs: list[Pair]) -> list[LabelledImage]:
    names = sorted({name for pair in pairs for name in (pair.first, pair.second)})
    return [LabelledImage(root / "images" / name, name.split("/")[0]) for name in names]


def test_the_priced_rates_hold_on_people_nothing_was_fitted_to(
    data: Path, pipeline: Pipeline
) -> None:
    photos = embed_all(pipeline, CelebA.read(data).side(Side.TEST), threads=THREADS)
    assert photos.usable.mean() > 0.97
    rows = held_out_rows(photos, pipeline, seed=1)
    assert {row.bucket for row in rows} == {"1", "2", "3-5", "6-10", "11+"}
    assert len(rows) == 10
    for row in rows:
        # 71 people are a sample too: their own interval must meet the stated one, and wherever the
        # rate lies outside of that, it may not be far over the price that was asked.
        assert row.consistent, row
        assert row.observed_fmr <= 1.25 * row.target_fmr, row
    assert sum(row.observed_fmr <= row.stated_interval[1] for row in rows) >= 8
