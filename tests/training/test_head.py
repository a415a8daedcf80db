from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.scoring import L1Head, ScoreName, decision_scores
from app.training.head import HeadTraining, train_head
from app.training.metrics import equal_error_rate
from tests.training.people import people

CONFIG = HeadTraining(steps=400, batch=128, neighbours=5)


def rate(head: L1Head, seed: int) -> float:
    photos = people(40, 4, seed=seed)
    photos = replace(photos, embeddings=spoiled(photos.embeddings))
    scores = np.stack(
        [decision_scores(ScoreName.L1_LOGIT, head, e, photos.embeddings) for e in photos.embeddings]
    )
    upper = np.triu_indices(len(scores), 1)
    same = photos.identities[upper[0]] == photos.identities[upper[1]]
    return equal_error_rate(scores[upper][same], scores[upper][~same])


def spoiled(embeddings: NDArray[Any]) -> NDArray[Any]:
    """Replace half of the dimensions by noise that says nothing about the person."""
    noise = np.random.default_rng(9).normal(size=embeddings.shape) * 0.5
    return np.where(np.arange(embeddings.shape[1]) < 8, embeddings, noise).astype(np.float32)


def test_the_head_learns_to_ignore_dimensions_without_information() -> None:
    train = people(80, 5, seed=4)
    head = train_head(spoiled(train.embeddings), train.identities, CONFIG)
    assert (head.weights >= 0).all()
    assert head.weights[:8].mean() > 5 * head.weights[8:].mean()
    assert rate(head, seed=5) < rate(L1Head(np.ones(16, np.float32), 0.0), seed=5)


def test_training_is_reproducible() -> None:
    train = people(20, 4)
    first, second = (train_head(train.embeddings, train.identities, CONFIG) for _ in range(2))
    assert first.weights.tolist() == second.weights.tolist()
    assert first.bias == second.bias
