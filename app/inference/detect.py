"""MTCNN: a cascade of three networks that finds faces and five points on each.

Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks", 2016. The proposal network scans a pyramid of reduced photos with a window of 12 pixels;
the refinement network (24) and the output network (48) judge what it proposes. All coordinates
stay floating point, so landmarks have sub-pixel precision: a pixel covers the square from its index
to its index plus one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.domain.entities import Box, Face, Floats, Landmarks, Pixels
from app.inference import boxes as b
from app.inference.litert import Network
from app.inference.pyramid import Level, crops, pyramid
from app.inference.scan import CELL, Scanner

_MIRRORED: Final = [1, 0, 2, 4, 3]
"""Which landmark of the mirror image is each landmark."""

_BATCH: Final = 8
"""Crops that are judged at once. More would not take less time each, and hold more memory."""


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """Parameters of the cascade; they are part of a bundle's fingerprint.

    Attributes:
        min_face: Side of the smallest face that is searched for, in pixels.
        factor: Ratio of the sides of neighbouring pyramid levels.
        thresholds: Least face odds after each network.
        overlaps: Overlap over which a weaker box is dropped: within a level, across levels,
            after refinement, and (nested) at the end.
        max_candidates: Boxes that enter the refinement network at most, the best first.
        mirrored_look: Whether landmarks are the mean of the face's and its mirror image's.
    """

    min_face: float = 40.0
    factor: float = 0.709
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.8)
    overlaps: tuple[float, float, float, float] = (0.5, 0.7, 0.7, 0.7)
    max_candidates: int = 512
    mirrored_look: bool = False


class Detector:
    """Finds faces in RGB photos. One instance per thread."""

    def __init__(
        self, proposal: bytes, refinement: bytes, output: bytes, settings: DetectorSettings
    ) -> None:
        self.settings = settings
        self._scanner = Scanner(proposal, settings.thresholds[0])
        self._refinement = Network(refinement, name="rnet")
        self._output = Network(output, name="onet")

    def __call__(self, pixels: Pixels) -> list[Face]:
        """Faces in an RGB photo of shape (h, w, 3), the surest first."""
        scale = CELL / self.settings.min_face
        levels = pyramid(pixels, scale, self.settings.factor, CELL)
        if not levels:
            return []
        candidates = self._refine(levels, self._propose(levels))
        return self._finish([Level.of(pixels, pixels), *levels], candidates)

    def _propose(self, levels: Sequence[Level]) -> Floats:
        found = [self._scanner(level) for level in levels]
        within = self.settings.overlaps[0]
        proposals = np.concatenate([rows[b.suppress(rows[:, :5], within)] for rows in found])
        proposals = proposals[b.suppress(proposals[:, :5], self.settings.overlaps[1])]
        proposals = proposals[: self.settings.max_candidates]
        return b.squared(b.refined(proposals[:, :5], proposals[:, 5:]))

    def _refine(self, levels: Sequence[Level], candidates: Floats) -> Floats:
        if not len(candidates):
            return candidates
        offsets, odds = _in_batches(self._refinement, crops(levels, candidates, 24))
        sure = odds[:, 1] > self.settings.thresholds[1]
        scored = np.concatenate([candidates[sure, :4], odds[sure, 1:]], axis=1)
        refined = b.refined(scored, offsets[sure])
        return b.squared(refined[b.suppress(refined, self.settings.overlaps[2])])

    def _finish(self, levels: Sequence[Level], candidates: Floats) -> list[Face]:
        if not len(candidates):
            return []
        offsets, _, odds = _in_batches(self._output, crops(levels, candidates, 48))
        sure = odds[:, 1] > self.settings.thresholds[2]
        squares = np.concatenate([candidates[sure, :4], odds[sure, 1:]], axis=1)
        boxes = b.refined(squares, offsets[sure])
        boxes = boxes[b.suppress_nested(boxes, self.settings.overlaps[3])]
        if not len(boxes):
            return []
        landmarks = self._landmarks(levels, b.squared(boxes))
        return [_face(*row) for row in zip(boxes, landmarks, strict=True)]

    def _landmarks(self, levels: Sequence[Level], squares: Floats) -> Floats:
        """Five points on each face, (n, 5, 2): a second look, now that the face is well framed."""
        framed = crops(levels, squares, 48)
        fractions = self._points(framed)
        if self.settings.mirrored_look:
            mirrored = self._points(np.ascontiguousarray(framed[:, :, ::-1]))[:, _MIRRORED]
            mirrored[..., 0] = 1 - mirrored[..., 0]
            fractions = (fractions + mirrored) * np.float32(0.5)
        return fractions * b.sizes(squares)[:, None] + squares[:, None, :2]

    def _points(self, framed: Floats) -> Floats:
        """Five points in fractions of each crop, (n, 5, 2)."""
        _, points, _ = _in_batches(self._output, framed)
        return points.reshape(-1, 2, 5).transpose(0, 2, 1)


def _in_batches(network: Network, crops: Floats) -> list[Floats]:
    """The network's outputs for at least one crop."""
    parts = [network(crops[start : start + _BATCH]) for start in range(0, len(crops), _BATCH)]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _face(row: Floats, points: Floats) -> Face:
    x1, y1, x2, y2, score = (float(v) for v in row)
    left_eye, right_eye, nose, mouth_left, mouth_right = ((float(x), float(y)) for x, y in points)
    return Face(
        Box(x1, y1, x2 - x1, y2 - y1),
        Landmarks(left_eye, right_eye, nose, mouth_left, mouth_right),
        min(score, 1.0),
    )
