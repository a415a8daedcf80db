"""Verification accuracy on listed pairs, at thresholds that the judged pairs did not choose."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.decisions import Decider
from app.domain.entities import Floats
from app.training.embedding_set import EmbeddingSet
from app.training.evaluation.curves import FAILED, Comparisons, Indices
from app.training.evaluation.intervals import accuracy_interval
from app.training.evaluation.pairing import pair_scores
from app.training.metrics import Interval

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ScoredPairs:
    """Listed pairs of two kinds; one with a photo that could not be used is judged wrongly.

    Attributes:
        scores: Shape (n,); of no meaning where a photo could not be used.
        same: Whether each pair is genuine, shape (n,).
        usable: Whether both photos could be used, shape (n,).
        first: Identity of one photo, shape (n,).
        second: Identity of the other photo, shape (n,).
    """

    scores: Floats
    same: Flags
    usable: Flags
    first: Indices
    second: Indices

    @classmethod
    def of(
        cls, photos: EmbeddingSet, rows: tuple[Indices, Indices], same: Flags, decider: Decider
    ) -> "ScoredPairs":
        """Score pairs of rows of `photos`."""
        first, second = rows
        return cls(
            scores=pair_scores(photos.embeddings, first, second, decider),
            same=same,
            usable=photos.usable[first] & photos.usable[second],
            first=photos.identities[first],
            second=photos.identities[second],
        )

    def made(self) -> "ScoredPairs":
        """The pairs of usable photos."""
        kept = self.usable
        return ScoredPairs(
            self.scores[kept], self.same[kept], kept[kept], self.first[kept], self.second[kept]
        )

    def comparisons(self) -> Comparisons:
        """The same for error rates: genuine pairs, failed ones included, and impostor pairs."""
        strangers = ~self.same & self.usable
        genuine = np.where(self.usable, self.scores, FAILED).astype(np.float32)
        return Comparisons(
            genuine=genuine[self.same],
            owners=self.first[self.same],
            impostor=self.scores[strangers],
            first=self.first[strangers],
            second=self.second[strangers],
        )

    def right_at(self, threshold: float) -> Flags:
        """Whether each pair is judged rightly at a threshold."""
        matched = self.scores >= np.float32(threshold)
        return np.asarray(self.usable & (matched == self.same), np.bool_)

    def accuracy(self, right: Flags, *, seed: int) -> Interval:
        """Share of right answers, with its 95 % interval by bootstrap over identities."""
        return accuracy_interval(right, self.same, (self.first, self.second), seed=seed)


@dataclass(frozen=True, slots=True)
class CrossValidated:
    """Each fold judged at the threshold that is best on all the others.

    Attributes:
        folds: Accuracy of each fold.
        right: Whether each pair was judged rightly, shape (n,).
    """

    folds: tuple[float, ...]
    right: Flags

    @property
    def accuracy(self) -> float:
        """Mean over the folds."""
        return float(np.mean(self.folds))

    @property
    def standard_error(self) -> float:
        """Of that mean, from the spread of the folds."""
        return float(np.std(self.folds, ddof=1) / np.sqrt(len(self.folds)))


def cross_validated(pairs: ScoredPairs, fold: Indices) -> CrossValidated:
    """Accuracy by folds; `fold` is the number of the fold of each pair, shape (n,)."""
    right = np.zeros(len(fold), np.bool_)
    numbers = np.unique(fold)
    for number in numbers:
        test = fold == number
        learn = pairs.usable & ~test
        threshold = best_threshold(pairs.scores[learn], pairs.same[learn])
        right[test] = pairs.right_at(threshold)[test]
    return CrossValidated(tuple(float(right[fold == n].mean()) for n in numbers), right)


def drawn_folds(same: Flags, most: int, seed: int) -> Indices:
    """Number of the fold of each pair, with genuine and impostor pairs spread evenly.

    There are `most` folds, or as many as there are pairs of the rarer kind.
    """
    folds = min(most, int(same.sum()), int((~same).sum()))
    generator = np.random.default_rng(seed)
    fold = np.empty(len(same), np.intp)
    for kind in (same, ~same):
        fold[kind] = generator.permutation(np.arange(np.count_nonzero(kind)) % folds)
    return fold


def best_threshold(scores: Floats, same: Flags) -> float:
    """The threshold with the most right answers, in the middle of its gap between scores."""
    if not len(scores):
        return 0.0
    order = np.argsort(scores)
    ordered, labels = scores[order], same[order]
    # Right answers when everything from position i on is called a match.
    right = np.concatenate([[0], np.cumsum(~labels)]) + (
        labels.sum() - np.concatenate([[0], np.cumsum(labels)])
    )
    # Equal scores fall on one side together.
    right[1:-1][ordered[1:] == ordered[:-1]] = -1
    cut = int(np.argmax(right))
    if cut == len(ordered):
        return float(np.nextafter(ordered[-1], np.float32(np.inf)))
    return float((ordered[max(cut - 1, 0)] + ordered[cut]) / 2)
