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
        distance = np.abs(references - probe) @ self.weights
        return np.asarray(self.bias - distance, np.float32)

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
    return np.asarray(references @ probe, np.float32)


def _mean_of_best_half(scores: Floats) -> float:
    best = max(1, (len(scores) + 1) // 2)
    return float(np.sort(scores)[-best:].mean())


FUSIONS: Final[dict[str, Callable[[Floats], float]]] = {
    "mean": lambda scores: float(scores.mean()),
    "median": lambda scores: float(np.median(scores)),
    "max": lambda scores: float(scores.max()),
    "best_half": _mean_of_best_half,
}
"""Ways to turn the scores of a subject's references, shape (n,) with n >= 1, into one."""


def fuse(fusion: str, scores: Floats) -> float:
    """One score over a subject's references by the rule that the bundle names.

    Raises:
        ValueError: If there are no scores or the rule is unknown.
    """
    if not len(scores):
        raise ValueError("no scores to fuse")
    if fusion not in FUSIONS:
        raise ValueError(f"unknown fusion rule {fusion!r}")
    return FUSIONS[fusion](scores)
