"""Rates of a bundle in the seed tutorial's protocol, with intervals over photos and people."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from app.domain.decisions import Decider
from app.domain.entities import Floats
from app.domain.errors import UnsupportedFmrError
from app.training.metrics import Interval, bootstrap_weights

FMRS: Final = (0.01, 0.001)
REFERENCES: Final = (1, 3, 50)
DRAWS: Final = {1: 40, 3: 40, 50: 4}
"""Galleries drawn for each number of references."""
ROUNDS: Final = 1000
_RANKED: Final = 20
"""Of how many times an FMR's share of impostor scores a threshold is looked for among."""

Counts = NDArray[np.float64]


class Embeddings(Protocol):
    """What a bundle makes of n photos.

    Attributes:
        embeddings: Shape (n, d).
        usable: Whether a photo may decide anything, shape (n,).
    """

    @property
    def embeddings(self) -> Floats: ...  # noqa: D102 - see the class

    @property
    def usable(self) -> NDArray[np.bool_]: ...  # noqa: D102 - see the class


@dataclass(frozen=True, slots=True)
class Scores:
    """Fused scores of all probes against the drawn galleries of the owner.

    Attributes:
        genuine: Shape (draws, probes); -inf where the probe can't be used.
        impostor: Shape (draws, people); -inf where the photo can't be used.
    """

    genuine: Floats
    impostor: Floats


def scores(
    decider: Decider,
    references: Embeddings,
    probes: Embeddings,
    impostors: Embeddings,
    *,
    count: int,
    seed: int,
) -> Scores:
    """Draw galleries of `count` references, and try every probe and impostor against each.

    Photos that can't be used are never references, and match nobody.
    """
    random = np.random.default_rng([seed, count])
    pool = references.embeddings[references.usable]
    genuine: list[Floats] = []
    impostor: list[Floats] = []
    for _ in range(DRAWS[count]):
        gallery = pool[random.choice(len(pool), min(count, len(pool)), replace=False)]
        for photos, found in ((probes, genuine), (impostors, impostor)):
            fused = decider.fused_scores(photos.embeddings, gallery)
            found.append(np.where(photos.usable, fused, -np.inf).astype(np.float32))
    return Scores(np.stack(genuine), np.stack(impostor))


def tar_rounds(found: Scores, fmr: float, seed: int) -> Counts:
    """True accept rate at the threshold that the impostors set at `fmr`.

    Impostors whose photo can't be used do not count.

    Returns:
        Shape (1 + ROUNDS,): first of all photos and people, then of each round of a bootstrap over
        probe photos and impostor people. Equal seeds draw alike, so bundles can be paired.
    """
    draws, people = found.impostor.shape
    counted = np.isfinite(found.impostor[0])
    order = np.argsort(-found.impostor, axis=None)[: ceil(_RANKED * fmr * draws * people) + 1]
    ranked = found.impostor.ravel()[order]
    persons = order % people
    tars = []
    for own, others in zip(*_weights(found, seed), strict=True):
        passed = np.cumsum(others[persons])
        most = fmr * draws * others[counted].sum() + 1e-9
        allowed = int(np.searchsorted(passed, most, side="right"))
        # The score at `allowed` is the first that must not match.
        edge = ranked[min(allowed, len(ranked) - 1)]
        tars.append(float((found.genuine > edge).mean(axis=0) @ own / own.sum()))
    return np.array(tars)


def error_rounds(found: Scores, threshold: float, seed: int) -> tuple[Counts, Counts]:
    """FNMR and FMR at a threshold, each in rounds as of `tar_rounds`."""
    edge = np.float32(threshold)
    missed = (found.genuine < edge).mean(axis=0)
    matched = (found.impostor >= edge).mean(axis=0)
    counted = np.isfinite(found.impostor[0])
    rounds = [
        (missed @ own / own.sum(), matched @ others / max(others[counted].sum(), 1))
        for own, others in zip(*_weights(found, seed), strict=True)
    ]
    fnmr, fmr = np.array(rounds).T
    return fnmr, fmr


def interval(rounds: Counts) -> Interval:
    """A difference, and the middle 95 % of its rounds."""
    low, high = (float(end) for end in np.percentile(rounds[1:], [2.5, 97.5]))
    return Interval(float(rounds[0]), min(low, rounds[0]), max(high, rounds[0]))


def rate_interval(rounds: Counts, count: int) -> Interval:
    """A rate, and the middle 95 % of its rounds.

    No resampling can show what was not seen, so the interval of a rate of 0 or 1 reaches as far as
    `count` independent trials without a hit, or without a miss, do.
    """
    found = interval(rounds)
    unseen = min(-log(0.025) / count, 1.0)
    return Interval(
        found.value,
        min(found.low, 1 - unseen) if found.value >= 1 else found.low,
        max(found.high, unseen) if found.value <= 0 else found.high,
    )


def own_threshold(decider: Decider, subject: str, count: int, max_fmr: float) -> float | None:
    """Where the bundle itself would decide about the owner; None if it does not support that."""
    try:
        calibration = decider.about(subject).calibration
        return calibration.operating_point(max_fmr, count).threshold
    except UnsupportedFmrError:
        return None


def _weights(found: Scores, seed: int) -> tuple[Sequence[Counts], Sequence[Counts]]:
    """Of probe photos and of impostor people, for all of them and for each round."""
    return (
        _with_all(found.genuine.shape[1], seed),
        _with_all(found.impostor.shape[1], seed + 1),
    )


def _with_all(count: int, seed: int) -> Sequence[Counts]:
    return [np.ones(count), *bootstrap_weights(count, ROUNDS, seed)]
