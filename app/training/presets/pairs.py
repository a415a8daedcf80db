"""Pairs of the preset `seed`: anchor with positive, anchor with negative, as many of each.

The tutorial zips the folders, so that an anchor meets one positive and one negative only. Here
pairs are drawn anew in each epoch from all combinations, and as many as the tutorial would have.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats
from app.domain.errors import TrainingDataError
from app.domain.training import Role
from app.training.data.dataset import Dataset
from app.training.presets.copies import COPIES

Indices = NDArray[np.intp]

MAX_PAIRS: Final = 2100
"""Of a kind in an epoch: 70 % of the 3,000 that the tutorial takes."""


@dataclass(frozen=True, slots=True)
class Photos:
    """Rows of one side of a split.

    Attributes:
        anchors: Rows of the owner that come first in a pair.
        positives: Rows of the owner that come second; the anchors, if one folder is empty.
        negatives: Rows of other people.
    """

    anchors: Indices
    positives: Indices
    negatives: Indices

    @classmethod
    def among(cls, dataset: Dataset, rows: Indices) -> "Photos":
        """The photos at `rows` by the folders that they lie in."""

        def of(role: Role) -> Indices:
            kept = [row for row in rows if dataset.photos[row].role is role]
            return np.array(kept, np.intp)

        anchors, positives = of(Role.ANCHOR), of(Role.POSITIVE)
        if not len(anchors) or not len(positives):
            anchors = positives = np.concatenate([anchors, positives])
        return cls(anchors, positives, of(Role.NEGATIVE))

    def partners(self, groups: Indices, anchor: int) -> Indices:
        """Positives that are no near-duplicates of an anchor."""
        apart: Indices = self.positives[groups[self.positives] != groups[anchor]]
        return apart


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images, each a photo's row and the number of its copy."""

    first: tuple[int, int]
    second: tuple[int, int]
    same: bool


class PairDrawing:
    """Draws the pairs of each epoch; the same for the same seed.

    Args:
        dataset: The photos.
        rows: Of the side that is trained on.
        embeddings: Of all photos, comparable by cosine, shape (n, d).
        seed: Of the drawing.
        hard_share: Share of the negatives that are drawn from each anchor's nearest strangers.
        nearest: Share of all negatives that count as nearest.
        most: Pairs of a kind at most.

    Raises:
        TrainingDataError: If no pair of one kind can be made.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: Indices,
        *,
        embeddings: Floats,
        seed: int,
        hard_share: float,
        nearest: float,
        most: int = MAX_PAIRS,
    ) -> None:
        photos = Photos.among(dataset, rows)
        partners = {int(a): photos.partners(dataset.groups, int(a)) for a in photos.anchors}
        self._partners = {anchor: found for anchor, found in partners.items() if len(found)}
        if not self._partners or not len(photos.negatives):
            raise TrainingDataError(
                "There are too few photos to train on: it takes two different ones of the owner, "
                "and one of somebody else."
            )
        self._anchors = np.array(list(self._partners), np.intp)
        self._negatives = photos.negatives
        self._nearest = _nearest(embeddings, self._anchors, photos.negatives, nearest)
        self._seed, self._hard_share = seed, hard_share
        smallest = min(len(self._anchors), len(photos.positives), len(photos.negatives))
        self.kind = min(most, (COPIES + 1) * smallest)
        """Pairs of a kind in an epoch."""
        self.epoch = lru_cache(maxsize=2)(self._epoch)
        """All pairs of an epoch, counted from 0, in the order of training."""

    def _epoch(self, epoch: int) -> list[Pair]:
        random = np.random.default_rng([self._seed, epoch])
        pairs = [
            self._pair(random, anchor, same=same)
            for same in (True, False)
            for anchor in self._turns(random)
        ]
        return [pairs[place] for place in random.permutation(len(pairs))]

    def _turns(self, random: np.random.Generator) -> list[int]:
        """Anchors for `kind` pairs, each as often as any other."""
        rounds = -(-self.kind // len(self._anchors))
        turns = [random.permutation(self._anchors) for _ in range(rounds)]
        return [int(anchor) for anchor in np.concatenate(turns)[: self.kind]]

    def _pair(self, random: np.random.Generator, anchor: int, *, same: bool) -> Pair:
        if same:
            others = self._partners[anchor]
        elif random.random() < self._hard_share:
            others = self._nearest[anchor]
        else:
            others = self._negatives
        other = int(others[random.integers(len(others))])
        first, second = random.integers(COPIES + 1, size=2)
        return Pair((anchor, int(first)), (other, int(second)), same)


def _nearest(
    embeddings: Floats, anchors: Indices, negatives: Indices, share: float
) -> dict[int, Indices]:
    """For each anchor the negatives nearest to it by the active bundle's embedding."""
    count = max(1, round(share * len(negatives)))
    unit = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    found = {}
    for anchor in anchors:
        cosines = unit[negatives] @ unit[anchor]
        found[int(anchor)] = negatives[np.argsort(-cosines, kind="stable")[:count]]
    return found
