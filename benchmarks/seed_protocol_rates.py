"""Rates of a bundle in the seed tutorial's protocol, with intervals over photos and people."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.decisions import Decider
from app.domain.entities import Floats
from app.domain.errors import UnsupportedFmrError
from app.training.embedding_set import EmbeddingSet
from app.training.metrics import Interval, bootstrap_weights

FMRS: Final = (0.01, 0.001)
REFERENCES: Final = (1, 3, 50)
DRAWS: Final = {1: 40, 3: 40, 50: 4}
"""Galleries drawn for each number of references."""
ROUNDS: Final = 1000

Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scores:
    """Fused scores of all probes against the drawn galleries of the owner.

    Attributes:
        genuine: Shape (draws, probes); -inf where the probe can't be used.
        impostor: Shape (draws, people).
    """

    genuine: Floats
    impostor: Floats


def scores(
    decider: Decider,
    references: EmbeddingSet,
    probes: EmbeddingSet,
    impostors: EmbeddingSet,
    *,
    count: int,
    seed: int,
) -> Scores:
    """Draw galleries of `count` references, and try every probe and impostor against each.

    Photos that can't be used are never references, are genuine probes that fail, and are left out
    as impostors.
    """
    random = np.random.default_rng([seed, count])
    pool = references.embeddings[references.usable]
    strangers = impostors.embeddings[impostors.usable]
    genuine, impostor = [], []
    for _ in range(DRAWS[count]):
        gallery = pool[random.choice(len(pool), min(count, len(pool)), replace=False)]
        own = decider.fused_scores(probes.embeddings, gallery)
        genuine.append(np.where(probes.usable, own, -np.inf))
        impostor.append(decider.fused_scores(strangers, gallery))
    return Scores(
        np.stack(genuine).astype(np.float32),
        np.stack(impostor).astype(np.float32),
    )


def tar_rounds(found: Scores, fmr: float, seed: int) -> Counts:
    """True accept rate at the threshold that the impostors set at `fmr`.

    Returns:
        Shape (1 + ROUNDS,): first of all photos and people, then of each round of a bootstrap over
        probe photos and impostor people. Equal seeds draw alike, so bundles can be paired.
    """
    draws, people = found.impostor.shape
    probe_weights = _with_all(found.genuine.shape[1], seed)
    people_weights = _with_all(people, seed + 1)
    order = np.argsort(-found.impostor, axis=None)
    ranked = found.impostor.ravel()[order]
    persons = (order % people).astype(np.intp)
    tars = []
    for own, others in zip(probe_weights, people_weights, strict=True):
        passed = np.cumsum(others[persons])
        allowed = int(np.searchsorted(passed, fmr * draws * people + 1e-9, side="right"))
        # The score at `allowed` is the first that must not match.
        edge = ranked[min(allowed, len(ranked) - 1)]
        tars.append(float((found.genuine > edge).mean(axis=0) @ own / own.sum()))
    return np.array(tars)


def interval(rounds: Counts) -> Interval:
    """A rate or difference, and the middle 95 % of its rounds."""
    low, high = np.percentile(rounds[1:], [2.5, 97.5])
    return Interval(float(rounds[0]), min(low, rounds[0]), max(high, rounds[0]))


def at_own_threshold(
    decider: Decider, subject: str, found: Scores, count: int, max_fmr: float
) -> tuple[float, float] | None:
    """FNMR and FMR at the bundle's own price for the owner; None if it does not support that."""
    try:
        calibration = decider.about(subject).calibration
        threshold = calibration.operating_point(max_fmr, count).threshold
    except UnsupportedFmrError:
        return None
    missed = float(np.mean(found.genuine < np.float32(threshold)))
    return missed, float(np.mean(found.impostor >= np.float32(threshold)))


def _with_all(count: int, seed: int) -> Sequence[Counts]:
    return [np.ones(count), *bootstrap_weights(count, ROUNDS, seed)]
