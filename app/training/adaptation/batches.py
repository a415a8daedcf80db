"""Batches of two photos each of many people."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats
from app.training.adaptation.config import AdaptationConfig

Indices = NDArray[np.intp]


class PairBatches:
    """Draws batches; step `n` is the same for the same seed.

    Args:
        features: One array (n, ...) a view.
        identities: Shape (n,), numbers from 0.
        wild: Whether a photo is of the uncropped set, shape (n,).
        config: Hyper-parameters.
    """

    def __init__(
        self,
        features: Sequence[NDArray[Any]],
        identities: Indices,
        wild: NDArray[np.bool_],
        config: AdaptationConfig,
    ) -> None:
        self._features = features
        self._config = config
        rows = [np.flatnonzero(identities == person) for person in range(identities.max() + 1)]
        pairs = [own for own in rows if len(own) > 1]
        self._wild = [own for own in pairs if wild[own].any()]
        self._other = [own for own in pairs if not wild[own].any()]

    def batch(self, step: int) -> tuple[Floats, Indices]:
        """Features (2 * people, ...) and the row of each photo."""
        random = np.random.default_rng([self._config.seed, step])
        rows = np.concatenate(
            [random.choice(own, 2, replace=False) for own in self._people(random)]
        )
        views = random.integers(len(self._features), size=len(rows))
        chosen = [self._features[view][row] for view, row in zip(views, rows, strict=True)]
        return np.stack(chosen).astype(np.float32), rows

    def _people(self, random: np.random.Generator) -> list[Indices]:
        people = self._config.people
        wanted = int(random.binomial(people, self._config.wild_share))
        from_wild = min(wanted, len(self._wild))
        from_other = min(people - from_wild, len(self._other))
        picked = [self._wild[i] for i in random.choice(len(self._wild), from_wild, replace=False)]
        return picked + [
            self._other[i] for i in random.choice(len(self._other), from_other, replace=False)
        ]
