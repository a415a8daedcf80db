"""Both sides on LFW's View 2."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from app.training.datasets import LabelledImage
from app.training.evaluation.pairing import pair_scores
from app.training.lfw import Pair, lfw_root, read_images, read_pairs, view2
from benchmarks.peer_side import Side


class Accuracy(BaseModel):
    """Mean of the folds and its standard error; a pair with a failed photo is an error."""

    value: float
    standard_error: float


class LfwSide(BaseModel):
    """One side's result.

    Attributes:
        accuracy: Each fold judged at the best threshold of the others.
        accuracy_at_tolerance: At the threshold that the side documents.
        failed_pairs: Pairs with a photo that could not be used.
    """

    accuracy: Accuracy
    accuracy_at_tolerance: Accuracy | None
    equal_error_rate: float
    failed_pairs: int
    not_found: int
    inconclusive: int


class LfwFigures(BaseModel):
    """Both sides on the same pairs and photos."""

    images: int
    pairs: int
    sides: dict[str, LfwSide]


def lfw_photos(data: Path, limit: int | None) -> tuple[list[LabelledImage], list[Pair]]:
    """All photos and pairs, or pairs spread over all folds that name `limit` photos at most."""
    root = lfw_root(data)
    images, pairs = read_images(root), read_pairs(root / "pairs.txt")
    if limit is None:
        return images, pairs
    chosen = np.linspace(0, len(pairs) - 1, max(limit // 2, 1)).round().astype(int)
    few = [pairs[i] for i in np.unique(chosen)]
    named = {name for pair in few for name in (pair.first, pair.second)}
    return [image for image in images if f"{image.identity}/{image.path.name}" in named], few


def lfw_figures(sides: Sequence[Side], pairs: Sequence[Pair]) -> LfwFigures:
    """Accuracy and failures of each side."""
    return LfwFigures(
        images=len(sides[0].photos.images),
        pairs=len(pairs),
        sides={side.name: _side(side, pairs) for side in sides},
    )


def _side(side: Side, pairs: Sequence[Pair]) -> LfwSide:
    result = view2(side.photos, pairs, side.decider)
    return LfwSide(
        accuracy=Accuracy(value=result.accuracy, standard_error=result.standard_error),
        accuracy_at_tolerance=accuracy_at_tolerance(side, pairs),
        equal_error_rate=result.equal_error_rate,
        failed_pairs=result.failed_pairs,
        not_found=side.not_found,
        inconclusive=side.inconclusive,
    )


def accuracy_at_tolerance(side: Side, pairs: Sequence[Pair]) -> Accuracy | None:
    """Accuracy of the folds at the side's own threshold, if it states one."""
    if side.tolerance is None:
        return None
    photos = side.photos
    rows = {f"{image.identity}/{image.path.name}": i for i, image in enumerate(photos.images)}
    first = np.array([rows[pair.first] for pair in pairs])
    second = np.array([rows[pair.second] for pair in pairs])
    same = np.array([pair.same for pair in pairs])
    matches = pair_scores(photos.embeddings, first, second, side.decider) >= side.tolerance
    right = photos.usable[first] & photos.usable[second] & (matches == same)
    return _over_folds(right, np.array([pair.fold for pair in pairs]))


def _over_folds(right: NDArray[np.bool_], fold: NDArray[np.intp]) -> Accuracy:
    shares = [float(right[fold == number].mean()) for number in np.unique(fold)]
    spread = float(np.std(shares, ddof=1) / np.sqrt(len(shares)))
    return Accuracy(value=float(np.mean(shares)), standard_error=spread)
