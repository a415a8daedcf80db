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

import cv2
import numpy as np

from app.domain.entities import Box, Face, Floats, Landmarks, Pixels
from app.inference import boxes as b
from app.inference.litert import Network

_CELL: Final = 12
_STRIDE: Final = 2
_BATCHES: Final = (1, 2, 4, 8, 16, 32, 64)
_OVERLAP: Final = _CELL - _STRIDE
_BAND_PIXELS: Final = 80_000
"""Pixels of a pyramid level that are scanned at once; 640x480 photos fit whole."""
_GRAY: Final = (127, 127, 127)


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
    """

    min_face: float = 40.0
    factor: float = 0.709
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.8)
    overlaps: tuple[float, float, float, float] = (0.5, 0.7, 0.7, 0.7)
    max_candidates: int = 512


@dataclass(frozen=True, slots=True)
class _Level:
    """The photo reduced to RGB pixels.

    Attributes:
        pixels: Shape (h', w', 3).
        scale: Level pixels per photo pixel along (x, y); sizes are whole numbers, so the two
            differ a little from each other and from the nominal scale.
    """

    pixels: Pixels
    scale: Floats

    @classmethod
    def of(cls, pixels: Pixels, photo: Pixels) -> "_Level":
        ratios = [pixels.shape[1] / photo.shape[1], pixels.shape[0] / photo.shape[0]]
        return cls(pixels, np.array(ratios, np.float32))


class Detector:
    """Finds faces in RGB photos. One instance per thread."""

    def __init__(
        self, proposal: bytes, refinement: bytes, output: bytes, settings: DetectorSettings
    ) -> None:
        self.settings = settings
        self._proposal = Network(proposal, name="pnet")
        self._refinement = Network(refinement, name="rnet")
        self._output = Network(output, name="onet")

    def __call__(self, pixels: Pixels) -> list[Face]:
        """Faces in an RGB photo of shape (h, w, 3), the surest first."""
        levels = self._pyramid(pixels)
        if not levels:
            return []
        candidates = self._refine(levels, self._propose(levels))
        return self._finish([_Level.of(pixels, pixels), *levels], candidates)

    def _pyramid(self, pixels: Pixels) -> list[_Level]:
        height, width = pixels.shape[:2]
        levels: list[_Level] = []
        scale = _CELL / self.settings.min_face
        source = pixels
        while min(height, width) * scale >= _CELL:
            size = (round(width * scale), round(height * scale))
            # Small faces may have to be enlarged; INTER_AREA only reduces.
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            source = cv2.resize(source, size, interpolation=how).astype(np.uint8, copy=False)
            levels.append(_Level.of(source, pixels))
            scale *= self.settings.factor
        return levels

    def _propose(self, levels: Sequence[_Level]) -> Floats:
        found = [self._propose_level(level) for level in levels]
        proposals = np.concatenate(found)
        proposals = proposals[b.suppress(proposals[:, :5], self.settings.overlaps[1])]
        proposals = proposals[: self.settings.max_candidates]
        return b.squared(b.refined(proposals[:, :5], proposals[:, 5:]))

    def _propose_level(self, level: _Level) -> Floats:
        """Rows of box, odds and offsets (n, 9) in photo pixels."""
        offsets, odds = self._scan(level.pixels)
        row, column = np.nonzero(odds[0, :, :, 1] > self.settings.thresholds[0])
        corner = np.stack([column, row], axis=1).astype(np.float32) * _STRIDE
        cells = np.concatenate([corner, corner + _CELL], axis=1) / np.tile(level.scale, 2)
        score = odds[0, row, column, 1:]
        rows = np.concatenate([cells, score, offsets[0, row, column]], axis=1)
        rows = rows.astype(np.float32)
        return rows[b.suppress(rows[:, :5], self.settings.overlaps[0])]

    def _scan(self, pixels: Pixels) -> tuple[Floats, Floats]:
        """Box offsets (1, h', w', 4) and face odds (1, h', w', 2) at every place of the window.

        A large level is scanned in bands, which bounds the memory and changes no result: bands
        begin at multiples of the stride and overlap by what the window is larger than the stride.
        """
        height, width = pixels.shape[:2]
        step = (max(_CELL, _BAND_PIXELS // width) - _OVERLAP) // _STRIDE * _STRIDE
        bands = [
            self._proposal(_normalized(pixels[start : start + step + _OVERLAP])[None])
            for start in range(0, height - _OVERLAP, step)
        ]
        offsets, odds = (np.concatenate(parts, axis=1) for parts in zip(*bands, strict=True))
        return offsets, odds

    def _refine(self, levels: Sequence[_Level], candidates: Floats) -> Floats:
        offsets, odds = self._in_batches(self._refinement, _crops(levels, candidates, 24), 2)
        sure = odds[:, 1] > self.settings.thresholds[1]
        scored = np.concatenate([candidates[sure, :4], odds[sure, 1:]], axis=1)
        refined = b.refined(scored, offsets[sure])
        return b.squared(refined[b.suppress(refined, self.settings.overlaps[2])])

    def _finish(self, levels: Sequence[_Level], candidates: Floats) -> list[Face]:
        offsets, _, odds = self._in_batches(self._output, _crops(levels, candidates, 48), 3)
        sure = odds[:, 1] > self.settings.thresholds[2]
        squares = np.concatenate([candidates[sure, :4], odds[sure, 1:]], axis=1)
        boxes = b.refined(squares, offsets[sure])
        boxes = boxes[b.suppress_nested(boxes, self.settings.overlaps[3])]
        landmarks = self._landmarks(levels, b.squared(boxes))
        return [_face(*row) for row in zip(boxes, landmarks, strict=True)]

    def _landmarks(self, levels: Sequence[_Level], squares: Floats) -> Floats:
        """Five points on each face, (n, 5, 2): a second look, now that the face is well framed."""
        _, points, _ = self._in_batches(self._output, _crops(levels, squares, 48), 3)
        fractions = points.reshape(-1, 2, 5).transpose(0, 2, 1)
        return fractions * b.sizes(squares)[:, None] + squares[:, None, :2]

    @staticmethod
    def _in_batches(network: Network, crops: Floats, outputs: int) -> list[Floats]:
        """Run crops in batches of few sizes, so that few shapes have to be prepared."""
        parts: list[list[Floats]] = [[] for _ in range(outputs)]
        start = 0
        while start < len(crops):
            size = next((n for n in _BATCHES if n >= len(crops) - start), _BATCHES[-1])
            batch = crops[start : start + size]
            missing = size - len(batch)
            if missing:
                batch = np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), np.float32)])
            for part, result in zip(parts, network(batch), strict=True):
                part.append(result[: size - missing])
            start += size
        if not len(crops):
            return [np.empty((0, n), np.float32) for n in ((4, 2) if outputs == 2 else (4, 10, 2))]
        return [np.concatenate(part) for part in parts]


def _normalized(pixels: Pixels) -> Floats:
    return (pixels.astype(np.float32) - 127.5) * (1 / 128)


def _crops(levels: Sequence[_Level], candidates: Floats, side: int) -> Floats:
    """Square crops (n, side, side, 3), each taken from the level whose scale fits it best.

    Crops may reach over the edge of the photo; what lies outside is gray.
    """
    crops = np.empty((len(candidates), side, side, 3), np.uint8)
    for crop, (x1, y1, x2, _y2, _score) in zip(crops, candidates, strict=True):
        wanted = side / max(x2 - x1, 1.0)
        level = min(levels, key=lambda lv: _misfit(float(lv.scale[0]), wanted))
        step_x, step_y = level.scale / wanted
        corner_x, corner_y = level.scale * (x1, y1)
        # Pixel i of the crop has its centre at corner + (i + 0.5) * step, and so has its source.
        matrix = np.array(
            [
                [step_x, 0, corner_x + (step_x - 1) / 2],
                [0, step_y, corner_y + (step_y - 1) / 2],
            ],
            np.float64,
        )
        cv2.warpAffine(
            level.pixels,
            matrix,
            (side, side),
            dst=crop,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=_GRAY,
        )
    return _normalized(crops)


def _misfit(scale: float, wanted: float) -> float:
    """How far a level is from the wanted scale; one that must be enlarged is a last resort."""
    return float(abs(np.log(scale / wanted))) + (scale < wanted)


def _face(row: Floats, points: Floats) -> Face:
    x1, y1, x2, y2, score = (float(v) for v in row)
    left_eye, right_eye, nose, mouth_left, mouth_right = ((float(x), float(y)) for x, y in points)
    return Face(
        Box(x1, y1, x2 - x1, y2 - y1),
        Landmarks(left_eye, right_eye, nose, mouth_left, mouth_right),
        min(score, 1.0),
    )
