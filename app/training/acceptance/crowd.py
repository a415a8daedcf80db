"""Other people against one another: they back thresholds that the owner's impostors can't."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.domain.entities import Floats
from app.training.acceptance.contest import Contender, Contest
from app.training.acceptance.sample import Indices
from app.training.calibrate import MIN_FALSE_MATCHES, MIN_IDENTITY_PAIRS
from app.training.evaluation.intervals import distinct_pairs
from app.training.metrics import threshold_at_fmr

MOST_PAIRS: Final = 200_000
AT_ONCE: Final = 4_000_000
"""Numbers of embeddings that are compared at a time: of the preset `seed` each has 4,096."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Pairs of photos of two strangers, the most alike first.

    Attributes:
        scores: Shape (n,), falling.
        first: Person of one photo, as rows of a bootstrap's weights number them, shape (n,).
        second: Person of the other, shape (n,).
    """

    scores: Floats
    first: Indices
    second: Indices

    def threshold(self, fmr: float) -> float:
        """At which at most so large a share of the pairs match."""
        return threshold_at_fmr(self.scores, fmr)

    def backs(self, fmr: float) -> bool:
        """Whether enough pairs of enough people stand behind the threshold at `fmr`."""
        if not len(self.scores):
            return False
        matched = int(np.count_nonzero(self.scores >= np.float32(self.threshold(fmr))))
        first, second = self.first[:matched], self.second[:matched]
        return matched >= MIN_FALSE_MATCHES and distinct_pairs(first, second) >= MIN_IDENTITY_PAIRS


def crowd_pairs(contest: Contest, people: Indices, offset: int, *, seed: int) -> Indices:
    """Rows of two photos each, and the numbers of their people: shape (4, pairs).

    Args:
        contest: On the test side.
        people: Who counts, ascending.
        offset: Number of the first of them.
        seed: Of the pairs that are drawn where there are more than `MOST_PAIRS`.
    """
    kept = contest.usable & contest.sample.strangers & np.isin(contest.sample.people, people)
    rows = np.flatnonzero(kept)
    first, second = (rows[places] for places in _distinct_pairs(len(rows), seed))
    numbers = np.searchsorted(people, contest.sample.people) + offset
    apart = numbers[first] != numbers[second]
    first, second = first[apart], second[apart]
    return np.stack([first, second, numbers[first], numbers[second]]).astype(np.intp)


def _distinct_pairs(count: int, seed: int) -> tuple[Indices, Indices]:
    """All pairs of `count` things, or `MOST_PAIRS` of them."""
    if count * (count - 1) // 2 <= MOST_PAIRS:
        first, second = np.triu_indices(count, k=1)
        return first.astype(np.intp), second.astype(np.intp)
    drawn = np.random.default_rng(seed).integers(count, size=(2, 3 * MOST_PAIRS))
    drawn = np.sort(drawn[:, drawn[0] != drawn[1]], axis=0)
    pairs = np.unique(drawn[0] * count + drawn[1])
    pairs = np.random.default_rng(seed + 1).permutation(pairs)[:MOST_PAIRS]
    return (pairs // count).astype(np.intp), (pairs % count).astype(np.intp)


def crowd_of(contender: Contender, pairs: Indices) -> Crowd:
    """The pairs as a bundle scores them: one photo against a gallery of one."""
    embeddings = contender.photos.embeddings
    step = max(AT_ONCE // embeddings.shape[1], 1)
    scores = np.concatenate(
        [
            np.empty(0, np.float32),
            *(
                contender.decider.pairwise(
                    embeddings[pairs[0, start : start + step]],
                    embeddings[pairs[1, start : start + step]],
                )
                for start in range(0, pairs.shape[1], step)
            ),
        ]
    )
    order = np.argsort(-scores)
    return Crowd(scores[order], pairs[2][order], pairs[3][order])
