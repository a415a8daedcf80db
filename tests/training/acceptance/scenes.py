"""Unseen photos of synthetic people, embedded by two bundles of known quality."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from app.domain.calibration import Calibration
from app.domain.decisions import Decider
from app.domain.scoring import L1Head, ScoreName
from app.training.acceptance.contest import Contender, Contest
from app.training.acceptance.sample import Sample
from app.training.datasets import LabelledImage
from app.training.embedding_set import EmbeddingSet

DIMENSION = 16
DECIDER = Decider(
    ScoreName.COSINE, L1Head(np.full(DIMENSION, 4.0, np.float32), 11.0), "mean", Calibration({})
)


def sample(photos: list[int], *, validation: float = 0.0, owner: int | None = 0) -> Sample:
    """`photos[n]` photos of person n, each a group of its own; the last people only validate."""
    people = np.repeat(np.arange(len(photos)), photos)
    tested = people < len(photos) - int(validation * len(photos))
    return Sample(
        images=tuple(
            LabelledImage(Path(f"{person}/{row}.jpg"), str(person))
            for row, person in enumerate(people)
        ),
        rows=np.arange(len(people)),
        people=people,
        groups=np.arange(len(people)),
        tested=tested,
        owner=owner,
    )


def embedded(
    made: Sample, noise: float, *, seed: int, own: int = 0, hard: float = 0.5, common: float = 0.0
) -> EmbeddingSet:
    """Unit vectors around a centre for each person.

    Args:
        made: Whose photos they are.
        noise: Of this bundle.
        seed: Of people and photos, which are the same for every bundle.
        own: Seed of the bundle's own noise.
        hard: How far photos are off for every bundle.
        common: How much people resemble each other.
    """
    shared = np.random.default_rng(seed)
    centres = shared.normal(size=(int(made.people.max()) + 1, DIMENSION)) + common
    vectors = centres[made.people]
    vectors += hard * shared.normal(size=vectors.shape)
    vectors += noise * np.random.default_rng([seed, own]).normal(size=vectors.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    count = len(made)
    return EmbeddingSet(
        images=made.images,
        identities=made.people,
        embeddings=vectors.astype(np.float32),
        found=np.ones(count, np.bool_),
        usable=np.ones(count, np.bool_),
        measures=({},) * count,
        reasons=((),) * count,
    )


def contest(
    made: Sample, candidate: float, active: float, *, seed: int = 0, hard: float = 0.5
) -> Contest:
    """Two bundles with so much noise of their own."""
    return Contest.of(
        made,
        Contender("new", DECIDER, embedded(made, candidate, seed=seed, own=1, hard=hard)),
        Contender("old", DECIDER, embedded(made, active, seed=seed, own=2, hard=hard)),
    )


def without_faces(photos: EmbeddingSet, rows: list[int]) -> EmbeddingSet:
    """The same, but in these photos no face was found."""
    usable = photos.usable.copy()
    usable[rows] = False
    reasons = tuple(("no_face",) if row in rows else own for row, own in enumerate(photos.reasons))
    return replace(photos, usable=usable, found=usable.copy(), reasons=reasons)
