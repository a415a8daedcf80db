from dataclasses import replace

import numpy as np
import pytest

from app.domain.entities import Floats
from app.training import selection
from app.training.embedding_set import EmbeddingSet
from app.training.selection import BUCKETS, choose_weight
from tests.training.people import people

WEIGHTS = (0.0, 0.25, 0.5, 1.0)


def told(photos: EmbeddingSet, commonness: Floats) -> EmbeddingSet:
    """The photos with a commonness as the last number of each embedding."""
    embeddings = np.concatenate([photos.embeddings, commonness[:, None]], axis=1)
    return replace(photos, embeddings=embeddings.astype(np.float32))


@pytest.mark.parametrize(
    ("rates", "best"),
    [((0.90, 0.945, 0.949, 0.93), 0.25), ((0.90, 0.943, 0.949, 0.93), 0.5)],
    ids=["within the tolerance", "beyond it"],
)
def test_the_least_weight_that_is_about_as_good_as_the_best_is_taken(
    rates: tuple[float, ...], best: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = iter([rate for rate in rates for _bucket in BUCKETS])
    monkeypatch.setattr(selection, "bucket_tar", lambda *_, **__: next(measured))
    photos = told(people(2, 2), np.zeros(4, np.float32))
    assert choose_weight(photos, WEIGHTS, seed=1).best == best


def test_a_commonness_that_is_noise_is_left_out() -> None:
    photos = people(40, 14)
    noise = np.random.default_rng(3).normal(0, 0.5, len(photos.images)).astype(np.float32)
    chosen = choose_weight(told(photos, noise), WEIGHTS, seed=1)
    assert chosen.best == 0
    assert list(chosen.tars) == list(WEIGHTS)
    assert all(len(tars) == len(BUCKETS) for tars in chosen.tars.values())


def test_a_commonness_that_lifts_the_scores_of_some_faces_is_taken_off() -> None:
    photos = people(40, 14, spread=0.5)
    # Half of the photos are alike in one more number, which lifts every score between two of them.
    excess = np.random.default_rng(4).choice([0.0, 0.8], len(photos.images)).astype(np.float32)
    lifted = np.concatenate([photos.embeddings, excess[:, None]], axis=1)
    chosen = choose_weight(told(replace(photos, embeddings=lifted), excess * 0.6), WEIGHTS, seed=1)
    assert chosen.best > 0
    assert np.mean(chosen.tars[chosen.best]) > np.mean(chosen.tars[0.0]) + 0.02
