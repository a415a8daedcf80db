"""A side's photos together with the way in which it compares two of them."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.domain.calibration import Calibration
from app.domain.decisions import Decider
from app.domain.entities import Floats
from app.domain.scoring import L1Head, ScoreName
from app.training.embedding_set import EmbeddingSet

TOLERANCE: Final = 0.6
"""Largest distance of a match as `face_recognition` documents it."""
TOLERANCE_SCORE: Final = -TOLERANCE
"""The same as a threshold on `Distance`."""


class Distance(Decider):
    """The peer's comparison as a score: the negated Euclidean distance of two embeddings."""

    def pairwise(self, first: Floats, second: Floats) -> Floats:
        """Score of each row of one set with the same row of the other: (n, d) to (n,)."""
        return np.asarray(-np.linalg.norm(first - second, axis=1), np.float32)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two.

    Attributes:
        photos: Its embeddings, failures included.
        decider: How it scores pairs.
        tolerance: The threshold that its documentation states, if it states one.
    """

    name: str
    photos: EmbeddingSet
    decider: Decider
    tolerance: float | None = None

    @property
    def not_found(self) -> int:
        """Photos on which it found no face."""
        return int(np.count_nonzero(~self.photos.found))

    @property
    def inconclusive(self) -> int:
        """Photos with a face on which it would not decide."""
        return int(np.count_nonzero(self.photos.found & ~self.photos.usable))


def distance() -> Distance:
    """The peer compares without a head, a fusion rule or a calibration: there is none to give."""
    return Distance(ScoreName.COSINE, L1Head(np.zeros(1, np.float32), 0.0), "mean", Calibration({}))
