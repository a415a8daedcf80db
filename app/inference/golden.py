"""Whether an engine gives golden images the embeddings that are stored in the bundle."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.domain.entities import Floats

GOLDEN_COSINE: Final = 0.999
"""Least cosine between a golden image's embedding and the one stored in the bundle."""

GOLDEN_COMMONNESS: Final = 0.006
"""Most that the commonness of a golden image may differ; an embedding that `GOLDEN_COSINE` lets
pass moves it by no more, whatever its weight."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well embeddings agree with the stored ones.

    Attributes:
        cosine: The least.
        commonness: The largest difference; None if the bundle has none.
    """

    cosine: float
    commonness: float | None

    @classmethod
    def of(cls, found: Floats, stored: Floats, *, commonness: bool) -> "Agreement":
        """Of one embedding (d,) with the stored one; with `commonness` that is the last number."""
        if not commonness:
            return cls(_cosine(found, stored), None)
        return cls(_cosine(found[:-1], stored[:-1]), abs(float(found[-1] - stored[-1])))

    def worse(self, other: "Agreement") -> "Agreement":
        """The worse of each."""
        differences = [d for d in (self.commonness, other.commonness) if d is not None]
        # numpy's extremes keep a NaN, Python's may drop it.
        return Agreement(
            float(np.min([self.cosine, other.cosine])),
            float(np.max(differences)) if differences else None,
        )

    @property
    def passed(self) -> bool:
        """Whether the engine can be trusted; NaN does not pass."""
        return self.cosine >= GOLDEN_COSINE and (
            self.commonness is None or self.commonness <= GOLDEN_COMMONNESS
        )

    def __str__(self) -> str:
        told = f"least golden cosine {self.cosine:.6f}, required {GOLDEN_COSINE}"
        if self.commonness is None:
            return told
        return f"{told}; commonness off by {self.commonness:.6f}, allowed {GOLDEN_COMMONNESS}"


def _cosine(a: Floats, b: Floats) -> float:
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12))
