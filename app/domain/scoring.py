"""Scores of a probe against references: embeddings in, comparable numbers out."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from app.domain.entities import Floats


class ScoreName(StrEnum):
    """The decision score that a bundle was calibrated with."""

    COSINE = "cosine"
    NORMALISED_COSINE = "normalised_cosine"
    """The cosine less the commonness of both embeddings, which is the last number of each: a
    face that many strangers look like has to be more alike to match."""
    L1_LOGIT = "l1_logit"


@dataclass(frozen=True, slots=True)
class L1Head:
    """The Siamese head: `sigmoid(bias - weights . |a - b|)` with `weights >= 0`.

    Non-negative weights make the score a (negated) weighted distance: it can't rise when two
    embeddings move apart in any dimension.

    Attributes:
        weights: Shape (d,).
        bias: The logit of two equal embeddings.
    """

    weights: Floats
    bias: float

    def __post_init__(self) -> None:
        if (
            self.weights.ndim != 1
            or not np.isfinite(self.weights).all()
            or (self.weights < 0).any()
        ):
            raise ValueError("the head's weights must be a finite, non-negative vector")

    def logits(self, probe: Floats, references: Floats) -> Floats:
        """Logit of each reference: (d,) against (n, d) gives (n,)."""
        return self.pairwise(references, probe[None])

    def pairwise(self, first: Floats, second: Floats) -> Floats:
        """Logit of each row of one set with the same row of the other: (n, d) gives (n,)."""
        apart = first - second
        np.abs(apart, out=apart)
        return np.asarray(self.bias - apart @ self.weights, np.float32)

    def probabilities(self, probe: Floats, references: Floats) -> Floats:
        """The head's sigmoid of each reference: (d,) against (n, d) gives (n,) in 0..1."""
        return sigmoid(self.logits(probe, references))


def sigmoid(logits: Floats) -> Floats:
    """Logistic function without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), np.float32)


def decision_scores(name: ScoreName, head: L1Head, probe: Floats, references: Floats) -> Floats:
    """Decision score of each reference: (d,) against (n, d) gives (n,); higher is more alike."""
    if name is ScoreName.L1_LOGIT:
        return head.logits(probe, references)
    if name is ScoreName.NORMALISED_COSINE:
        cosines = references[:, :-1] @ probe[:-1]
        return np.asarray(cosines - references[:, -1] - probe[-1], np.float32)
    return np.asarray(references @ probe, np.float32)


def score_matrix(name: ScoreName, head: L1Head, probes: Floats, references: Floats) -> Floats:
    """`decision_scores` of many probes: (m, d) against (n, d) gives (m, n)."""
    if name is ScoreName.L1_LOGIT:
        columns = [head.logits(reference, probes) for reference in references]
        return np.stack(columns, axis=1)
    if name is ScoreName.NORMALISED_COSINE:
        cosines = probes[:, :-1] @ references[:, :-1].T
        return np.asarray(cosines - probes[:, -1:] - references[:, -1], np.float32)
    return np.asarray(probes @ references.T, np.float32)


def pairwise_scores(name: ScoreName, head: L1Head, first: Floats, second: Floats) -> Floats:
    """Decision score of each row of one set with the same row of the other: (n, d) gives (n,)."""
    if name is ScoreName.L1_LOGIT:
        return head.pairwise(first, second)
    if name is ScoreName.NORMALISED_COSINE:
        cosines = np.einsum("nd,nd->n", first[:, :-1], second[:, :-1])
        return np.asarray(cosines - first[:, -1] - second[:, -1], np.float32)
    return np.asarray(np.einsum("nd,nd->n", first, second), np.float32)


def _mean_of_best_half(scores: Floats) -> Floats:
    best = (scores.shape[-1] + 1) // 2
    return np.asarray(np.sort(scores, axis=-1)[..., -best:].mean(axis=-1), np.float32)


FUSIONS: Final[dict[str, Callable[[Floats], Floats]]] = {
    "mean": lambda scores: scores.mean(axis=-1),
    "median": lambda scores: np.asarray(np.median(scores, axis=-1), np.float32),
    "max": lambda scores: scores.max(axis=-1),
    "best_half": _mean_of_best_half,
}
"""Ways to turn the scores of a subject's references, shape (..., n) with n >= 1, into one."""


def fuse_rows(fusion: str, scores: Floats) -> Floats:
    """One score over a subject's references by the rule that the bundle names.

    Args:
        fusion: A key of `FUSIONS`.
        scores: Shape (..., n).

    Returns:
        Shape (...).

    Raises:
        ValueError: If there are no references or the rule is unknown.
    """
    if not scores.shape[-1]:
        raise ValueError("no scores to fuse")
    if fusion not in FUSIONS:
        raise ValueError(f"unknown fusion rule {fusion!r}")
    return FUSIONS[fusion](scores)


def fuse(fusion: str, scores: Floats) -> float:
    """`fuse_rows` for one probe: shape (n,) gives a number."""
    return float(fuse_rows(fusion, scores))
