"""Synthetic people: unit vectors around a centre per identity, no photo behind them."""

from pathlib import Path

import numpy as np

from app.training.datasets import LabelledImage
from app.training.embedding_set import EmbeddingSet


def people(
    identities: int, photos: int, *, spread: float = 0.6, dimension: int = 16, seed: int = 0
) -> EmbeddingSet:
    """`identities` people with `photos` photos each; larger `spread` makes them harder to tell."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(identities, 1, dimension))
    noise = generator.normal(size=(identities, photos, dimension)) * spread
    vectors = (centres + noise).reshape(-1, dimension)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    numbers = np.repeat(np.arange(identities), photos)
    count = len(numbers)
    return EmbeddingSet(
        images=tuple(
            LabelledImage(Path(f"{n:04d}/{n:04d}_{i % photos + 1:04d}.jpg"), f"{n:04d}")
            for i, n in enumerate(numbers)
        ),
        identities=numbers,
        embeddings=vectors.astype(np.float32),
        found=np.ones(count, np.bool_),
        usable=np.ones(count, np.bool_),
        measures=({},) * count,
        reasons=((),) * count,
    )
