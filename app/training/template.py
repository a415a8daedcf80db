"""Deriving the alignment template from training identities.

The network was trained on crops of another landmark detector, so the right place of this
detector's landmarks on the crop has to be found. Its shape is the median face of the training
photos; its size and height are where the network separates training identities best.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats
from app.inference.align import AlignmentTemplate, similarity
from app.training.metrics import tar_at_fmr

EYE_DISTANCES: Final = (52.0, 54.0, 56.0, 58.0, 60.0)
EYE_HEIGHTS: Final = (41.5, 43.5, 45.5, 47.5)
"""Searched placements in pixels of a 150-pixel crop, around the published geometry (53, 46)."""

RATES: Final = (1e-3, 1e-2)


@dataclass(frozen=True, slots=True)
class Placement:
    """A tried placement and the mean true accept rate over `RATES` on training identities."""

    eye_distance: float
    eye_height: float
    tar: float


def median_face(landmarks: Sequence[Floats]) -> Floats:
    """Median shape of faces, mirror-symmetric, eyes level at (-0.5, 0) and (0.5, 0); (5, 2).

    Each face, shape (5, 2), is brought onto the median of the round before.
    """
    shape = np.array([[-0.5, 0], [0.5, 0], [0, 0.6], [-0.4, 1.1], [0.4, 1.1]], np.float32)
    mirror = [1, 0, 2, 4, 3]
    for _ in range(10):
        moved = []
        for points in landmarks:
            matrix = similarity(points, shape)
            moved.append(points @ matrix[:, :2].T + matrix[:, 2])
        median = np.median(moved, axis=0)
        median = (median + median[mirror] * [-1, 1]) / 2
        centre = (median[0] + median[1]) / 2
        shape = ((median - centre) / np.linalg.norm(median[1] - median[0])).astype(np.float32)
    return shape


def place(
    shape: Floats,
    size: int,
    embed: Callable[[AlignmentTemplate], Floats],
    identities: NDArray[Any],
    tried: Callable[[Placement], None] = lambda _: None,
) -> tuple[AlignmentTemplate, list[Placement]]:
    """Search size and height of `shape` on the crop.

    Args:
        shape: From `median_face`.
        size: Side of the crop.
        embed: Aligns the training photos to a template and embeds them, unit length, (n, d).
        identities: Identity of each training photo, shape (n,).
        tried: Told about each placement.

    Returns:
        The best template and all placements tried.
    """
    upper = np.triu_indices(len(identities), 1)
    same = identities[upper[0]] == identities[upper[1]]
    placements = []
    for distance, height in product(EYE_DISTANCES, EYE_HEIGHTS):
        embeddings = embed(_template(shape, size, distance, height))
        scores = (embeddings @ embeddings.T)[upper]
        tar = float(np.mean([tar_at_fmr(scores[same], scores[~same], rate) for rate in RATES]))
        placements.append(Placement(distance, height, tar))
        tried(placements[-1])
    best = max(placements, key=lambda p: p.tar)
    return _template(shape, size, best.eye_distance, best.eye_height), placements


def _template(
    shape: Floats, size: int, eye_distance: float, eye_height: float
) -> AlignmentTemplate:
    middle = np.array([(size - 1) / 2, eye_height], np.float32)
    return AlignmentTemplate(size, (shape * eye_distance + middle).astype(np.float32))
