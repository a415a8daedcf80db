"""Labeled Faces in the Wild: the images, and the official pairs of View 2.

Huang et al., "Labeled Faces in the Wild", 2007; protocol "unrestricted, labeled outside data".
A photo without a face or with a blocking quality reason is an error in every pair it is in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.domain.decisions import Decider
from app.domain.errors import InvalidRequestError
from app.training.datasets import LabelledImage, read_folder
from app.training.embedding_set import EmbeddingSet
from app.training.evaluation.accuracy import ScoredPairs, cross_validated
from app.training.evaluation.curves import FAILED
from app.training.metrics import Interval, equal_error_rate


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images by `<name>/<file>`, and whether they show one person."""

    first: str
    second: str
    same: bool
    fold: int


@dataclass(frozen=True, slots=True)
class View2:
    """Result on the 6,000 pairs: each fold is judged at the best threshold of the other nine.

    Attributes:
        standard_error: Of the mean accuracy, from the spread of the folds, as LFW's papers give it.
        interval: 95 %, by bootstrap over identities at the thresholds of the folds.
    """

    accuracy: float
    standard_error: float
    interval: Interval
    folds: tuple[float, ...]
    equal_error_rate: float
    pairs: int
    failed_pairs: int


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
    scored = ScoredPairs.of(photos, (first, second), same, decider)
    result = cross_validated(scored, np.array([pair.fold for pair in pairs]))
    usable = scored.usable
    # An unusable pair is wrong whichever way: it scores lowest if genuine, highest if impostor.
    failed = np.where(same, FAILED, np.inf)
    judged = np.where(usable, scored.scores, failed).astype(np.float32)
    return View2(
        accuracy=result.accuracy,
        standard_error=result.standard_error,
        interval=scored.accuracy(result.right, seed=0),
        folds=result.folds,
        equal_error_rate=equal_error_rate(judged[same], judged[~same]),
        pairs=len(pairs),
        failed_pairs=int(np.count_nonzero(~usable)),
    )
