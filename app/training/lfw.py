"""Evaluation on Labeled Faces in the Wild: View 2, and a million seeded impostor pairs.

Huang et al., "Labeled Faces in the Wild", 2007; protocol "unrestricted, labeled outside data".
A photo without a face or with a blocking quality reason is an error in every pair it is in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.decisions import Decider
from app.domain.entities import Floats
from app.domain.errors import InvalidRequestError
from app.training.datasets import LabelledImage, read_folder
from app.training.embedding_set import EmbeddingSet
from app.training.metrics import (
    Interval,
    bootstrap_weights,
    equal_error_rate,
    threshold_at_fmr,
)

Indices = NDArray[np.intp]

IMPOSTOR_PAIRS: Final = 1_000_000
GENUINE_PAIRS_PER_IDENTITY: Final = 30
FMRS: Final = (1e-2, 1e-3)
FAILED: Final = -np.inf
"""Score of a genuine pair with a photo that could not be used; it never matches."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images by `<name>/<file>`, and whether they show one person."""

    first: str
    second: str
    same: bool
    fold: int


@dataclass(frozen=True, slots=True)
class View2:
    """Result on the 6,000 pairs: each fold is judged at the best threshold of the other nine."""

    accuracy: float
    standard_error: float
    folds: tuple[float, ...]
    equal_error_rate: float
    pairs: int
    failed_pairs: int


@dataclass(frozen=True, slots=True)
class Million:
    """Rates on seeded impostor pairs.

    Attributes:
        tar_at_fmr: True accept rate at thresholds set on these impostor pairs; the interval is a
            bootstrap over identities that counts the threshold's own uncertainty.
        observed_fmr: FMR at the bundle's threshold for one reference, by the rate it was priced at.
    """

    tar_at_fmr: dict[float, Interval]
    observed_fmr: dict[float, float]
    equal_error_rate: float
    genuine_pairs: int
    impostor_pairs: int


def lfw_root(data: Path) -> Path:
    """The folder with `images/` and `pairs.txt`: `data` itself or `data/lfw`.

    Raises:
        InvalidRequestError: If neither holds them.
    """
    for root in (data, data / "lfw"):
        if (root / "pairs.txt").is_file() and (root / "images").is_dir():
            return root
    raise InvalidRequestError(f"{data} holds no LFW: neither images/ nor pairs.txt was found.")


def read_pairs(path: Path) -> list[Pair]:
    """Read the official list of View 2: folds of 300 genuine, then 300 impostor pairs."""
    header, *lines = path.read_text("utf-8").splitlines()
    folds, size = (int(n) for n in header.split())
    return [_pair(line.split("\t"), number // (2 * size)) for number, line in enumerate(lines)][
        : 2 * folds * size
    ]


def _pair(fields: Sequence[str], fold: int) -> Pair:
    if len(fields) == 3:
        name, first, second = fields
        return Pair(_file(name, first), _file(name, second), same=True, fold=fold)
    name, first, other, second = fields
    return Pair(_file(name, first), _file(other, second), same=False, fold=fold)


def _file(name: str, number: str) -> str:
    return f"{name}/{name}_{int(number):04d}.jpg"


def read_images(root: Path) -> list[LabelledImage]:
    """All images of the set."""
    return read_folder(root / "images")


def view2(photos: EmbeddingSet, pairs: Sequence[Pair], decider: Decider) -> View2:
    """Accuracy on the official pairs.

    Raises:
        InvalidRequestError: If a pair names an image that is not in the set.
    """
    rows = {f"{image.identity}/{image.path.name}": i for i, image in enumerate(photos.images)}
    try:
        first = np.array([rows[pair.first] for pair in pairs])
        second = np.array([rows[pair.second] for pair in pairs])
    except KeyError as error:
        raise InvalidRequestError(f"View 2 names an image that is missing: {error}") from None
    same = np.array([pair.same for pair in pairs])
    fold = np.array([pair.fold for pair in pairs])
    usable = photos.usable[first] & photos.usable[second]
    scores = pair_scores(photos.embeddings, first, second, decider)
    accuracies = []
    for number in np.unique(fold):
        test = fold == number
        learn = usable & ~test
        threshold = _best_threshold(scores[learn], same[learn])
        right = usable[test] & ((scores[test] >= threshold) == same[test])
        accuracies.append(float(right.mean()))
    spread = float(np.std(accuracies, ddof=1) / np.sqrt(len(accuracies)))
    # An unusable pair is wrong whichever way: it scores lowest if genuine, highest if impostor.
    failed = np.where(same, FAILED, np.inf)
    judged = np.where(usable, scores, failed).astype(np.float32)
    return View2(
        accuracy=float(np.mean(accuracies)),
        standard_error=spread,
        folds=tuple(accuracies),
        equal_error_rate=equal_error_rate(judged[same], judged[~same]),
        pairs=len(pairs),
        failed_pairs=int(np.count_nonzero(~usable)),
    )


def million(photos: EmbeddingSet, decider: Decider, *, seed: int, rounds: int = 200) -> Million:
    """Rates over a million random impostor pairs and all genuine pairs, 30 an identity at most."""
    generator = np.random.default_rng(seed)
    first, second = _genuine_pairs(photos, generator)
    genuine = pair_scores(photos.embeddings, first, second, decider)
    genuine[~(photos.usable[first] & photos.usable[second])] = FAILED
    a, b = _impostor_pairs(photos, generator)
    impostor = pair_scores(photos.embeddings, a, b, decider)
    sides = (photos.identities[a], photos.identities[b])
    weights = bootstrap_weights(int(photos.identities.max()) + 1, rounds, seed)
    tars = {
        fmr: _tar_interval(fmr, (genuine, photos.identities[first]), (impostor, sides), weights)
        for fmr in FMRS
    }
    points = decider.calibration.buckets.get("1", ())
    return Million(
        tar_at_fmr=tars,
        observed_fmr={p.target_fmr: float(np.mean(impostor >= p.threshold)) for p in points},
        equal_error_rate=equal_error_rate(genuine, impostor),
        genuine_pairs=len(genuine),
        impostor_pairs=len(impostor),
    )


def pair_scores(embeddings: Floats, first: Indices, second: Indices, decider: Decider) -> Floats:
    """Decision score of each pair of rows, shape (n,)."""
    scores = np.empty(len(first), np.float32)
    for start in range(0, len(first), 65536):
        rows = slice(start, start + 65536)
        scores[rows] = decider.pairwise(embeddings[first[rows]], embeddings[second[rows]])
    return scores


def _best_threshold(scores: Floats, same: NDArray[np.bool_]) -> float:
    """The threshold with the most right answers, in the middle of its gap between scores."""
    order = np.argsort(scores)
    ordered, labels = scores[order], same[order]
    # Right answers when everything from position i on is called a match.
    right = np.concatenate([[0], np.cumsum(~labels)]) + (
        labels.sum() - np.concatenate([[0], np.cumsum(labels)])
    )
    cut = int(np.argmax(right))
    low = ordered[max(cut - 1, 0)]
    high = ordered[min(cut, len(ordered) - 1)]
    return float((low + high) / 2)


def _genuine_pairs(photos: EmbeddingSet, generator: np.random.Generator) -> tuple[Indices, Indices]:
    pairs = list(_pairs_by_identity(photos, generator))
    return np.concatenate([p[0] for p in pairs]), np.concatenate([p[1] for p in pairs])


def _pairs_by_identity(
    photos: EmbeddingSet, generator: np.random.Generator
) -> Iterator[tuple[Indices, Indices]]:
    order = np.argsort(photos.identities, kind="stable")
    starts = np.flatnonzero(np.diff(photos.identities[order])) + 1
    for members in np.split(order, starts):
        first, second = np.triu_indices(len(members), 1)
        if len(first) > GENUINE_PAIRS_PER_IDENTITY:
            chosen = generator.choice(len(first), GENUINE_PAIRS_PER_IDENTITY, replace=False)
            first, second = first[chosen], second[chosen]
        yield members[first], members[second]


def _impostor_pairs(
    photos: EmbeddingSet, generator: np.random.Generator
) -> tuple[Indices, Indices]:
    """Pairs of usable photos of two people; photos are drawn alike, so are repeated pairs."""
    usable = np.flatnonzero(photos.usable)
    first = usable[generator.integers(len(usable), size=IMPOSTOR_PAIRS * 5 // 4)]
    second = usable[generator.integers(len(usable), size=IMPOSTOR_PAIRS * 5 // 4)]
    different = photos.identities[first] != photos.identities[second]
    return first[different][:IMPOSTOR_PAIRS], second[different][:IMPOSTOR_PAIRS]


def _tar_interval(
    fmr: float,
    genuine: tuple[Floats, Indices],
    impostor: tuple[Floats, tuple[Indices, Indices]],
    weights: NDArray[np.float64],
) -> Interval:
    scores, identities = genuine
    strangers, sides = impostor
    order = np.argsort(-strangers)
    ordered, left, right = strangers[order], sides[0][order], sides[1][order]
    count = weights.shape[1]
    trials = np.bincount(identities, minlength=count).astype(np.float64)
    rates = []
    for drawn in weights:
        weight = drawn[left] * drawn[right]
        cut = int(np.searchsorted(np.cumsum(weight), fmr * weight.sum(), side="right"))
        hits = np.bincount(
            identities[scores > ordered[min(cut, len(ordered) - 1)]], minlength=count
        )
        rates.append(float(drawn @ hits) / max(float(drawn @ trials), 1e-12))
    low, high = np.percentile(rates, [2.5, 97.5])
    value = float(np.mean(scores >= threshold_at_fmr(strangers, fmr)))
    return Interval(value, float(low), float(high))
