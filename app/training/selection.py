"""What validation photos choose: decision score, fusion, precision, weight of the commonness."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import numpy as np

from app.domain.calibration import Calibration
from app.domain.decisions import Decider
from app.domain.scoring import FUSIONS, L1Head, ScoreName
from app.training.embedding_set import EmbeddingSet
from app.training.metrics import tar_at_fmr
from app.training.trials import bucket_trials

BUCKETS: Final = ("1", "3-5", "11+")
RATE: Final = 1e-3
DRAWS: Final = 2


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to decide, and its true accept rate at FMR `RATE` in each of `BUCKETS`."""

    score: ScoreName
    fusion: str
    tars: tuple[float, ...]

    @property
    def tar(self) -> float:
        """What candidates are ranked by."""
        return float(np.mean(self.tars))


def compare(
    photos: EmbeddingSet, head: L1Head, scores: Sequence[ScoreName], seed: int
) -> list[Candidate]:
    """Every score with every fusion rule, the best first."""
    candidates = []
    for score, fusion in product(scores, FUSIONS):
        decider = Decider(score, head, fusion, Calibration({}))
        tars = tuple(bucket_tar(photos, decider, bucket, seed) for bucket in BUCKETS)
        candidates.append(Candidate(score, fusion, tars))
    return sorted(candidates, key=lambda c: -c.tar)


WEIGHT_TOLERANCE: Final = 0.005
"""True accept rate that is given up for a smaller weight. Commonness is learned from a few thousand
celebrities, and what is subtracted for them shifts the rates of other people."""


@dataclass(frozen=True, slots=True)
class ChosenWeight:
    """The weight of the commonness, and what was tried.

    Attributes:
        best: The least weight whose mean of `tars` is within `WEIGHT_TOLERANCE` of the largest.
        tars: True accept rates at FMR `RATE` in each of `BUCKETS`, by weight.
    """

    best: float
    tars: dict[float, tuple[float, ...]]


def choose_weight(photos: EmbeddingSet, weights: Sequence[float], seed: int) -> ChosenWeight:
    """Try weights of the commonness, fused by the mean; the fusion is chosen afterwards.

    Args:
        photos: With the whole commonness as the last number of each embedding.
        weights: To try.
        seed: Of drawing galleries.
    """
    head = L1Head(np.ones(photos.embeddings.shape[1], np.float32), 0.0)
    decider = Decider(ScoreName.NORMALISED_COSINE, head, "mean", Calibration({}))
    tars = {}
    for weight in weights:
        embeddings = photos.embeddings.copy()
        embeddings[:, -1] *= weight
        weighted = replace(photos, embeddings=embeddings)
        tars[weight] = tuple(bucket_tar(weighted, decider, bucket, seed) for bucket in BUCKETS)
    means = {weight: float(np.mean(each)) for weight, each in tars.items()}
    enough = max(means.values()) - WEIGHT_TOLERANCE
    return ChosenWeight(min(w for w, mean in means.items() if mean >= enough), tars)


def bucket_tar(photos: EmbeddingSet, decider: Decider, bucket: str, seed: int) -> float:
    """True accept rate at FMR `RATE` for one bucket of reference counts."""
    trials = bucket_trials(photos, decider, bucket, draws=DRAWS, seed=seed)
    return tar_at_fmr(trials.scores[trials.genuine], trials.scores[~trials.genuine], RATE)
