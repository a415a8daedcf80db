"""Arithmetic on rows of boxes `x1, y1, x2, y2, score` in pixels."""

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats

Indices = NDArray[np.intp]


def sizes(boxes: Floats) -> Floats:
    """Width and height of each box, shape (n, 2)."""
    return boxes[:, 2:4] - boxes[:, 0:2]


def refined(boxes: Floats, offsets: Floats) -> Floats:
    """Boxes moved by offsets (n, 4) that are fractions of each box's width and height."""
    moved = boxes.copy()
    size = sizes(boxes)
    moved[:, :2] += offsets[:, :2] * size
    moved[:, 2:4] += offsets[:, 2:] * size
    return moved


def squared(boxes: Floats) -> Floats:
    """Each box grown to a square around its centre."""
    square = boxes.copy()
    side = sizes(boxes).max(axis=1, keepdims=True)
    square[:, 0:2] = (boxes[:, 0:2] + boxes[:, 2:4]) / 2 - side / 2
    square[:, 2:4] = square[:, 0:2] + side
    return square


def suppress(boxes: Floats, max_overlap: float) -> Indices:
    """Non-maximum suppression: indices of boxes kept, best first.

    Two boxes overlap by their intersection over their union.
    """
    if not len(boxes):
        return np.empty(0, np.intp)
    rectangles = np.concatenate([boxes[:, :2], sizes(boxes)], axis=1).astype(np.float64)
    kept = cv2.dnn.NMSBoxes(rectangles, boxes[:, 4], 0.0, max_overlap)  # type: ignore[arg-type]
    return np.asarray(kept, np.intp).reshape(-1)


def suppress_nested(boxes: Floats, max_overlap: float) -> Indices:
    """Non-maximum suppression by intersection over the smaller box, which drops boxes in boxes."""
    remaining = np.argsort(-boxes[:, 4], kind="stable")
    kept: list[int] = []
    while len(remaining):
        best, remaining = remaining[0], remaining[1:]
        kept.append(int(best))
        remaining = remaining[_overlap_of_smaller(boxes[best], boxes[remaining]) <= max_overlap]
    return np.array(kept, np.intp)


def _overlap_of_smaller(box: Floats, others: Floats) -> Floats:
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:4], others[:, 2:4])
    intersection = np.clip(high - low, 0, None).prod(axis=1)
    smaller = np.minimum(sizes(box[None]).prod(axis=1), sizes(others).prod(axis=1))
    return np.asarray(intersection / np.maximum(smaller, 1e-6), np.float32)
