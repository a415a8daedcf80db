"""A photo at several sizes, and square crops taken from the size that fits each best."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats, Pixels

_GRAY: Final = (127, 127, 127)


@dataclass(frozen=True, slots=True)
class Level:
    """The photo reduced to RGB pixels.

    Attributes:
        pixels: Shape (h', w', 3).
        scale: Level pixels per photo pixel along (x, y); sizes are whole numbers, so the two
            differ a little from each other and from the nominal scale.
    """

    pixels: Pixels
    scale: Floats

    @classmethod
    def of(cls, pixels: Pixels, photo: Pixels) -> "Level":
        """`pixels` as a level of `photo`."""
        ratios = [pixels.shape[1] / photo.shape[1], pixels.shape[0] / photo.shape[0]]
        return cls(pixels, np.array(ratios, np.float32))


def pyramid(photo: Pixels, scale: float, factor: float, smallest: int) -> list[Level]:
    """Levels from `scale` down by `factor`, as long as the shorter side has `smallest` pixels."""
    height, width = photo.shape[:2]
    levels: list[Level] = []
    source = photo
    while min(height, width) * scale >= smallest:
        size = (round(width * scale), round(height * scale))
        # Small faces may have to be enlarged; INTER_AREA only reduces.
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        source = cv2.resize(source, size, interpolation=how).astype(np.uint8, copy=False)
        levels.append(Level.of(source, photo))
        scale *= factor
    return levels


def crops(levels: Sequence[Level], squares: Floats, side: int) -> Floats:
    """Normalized square crops (n, side, side, 3), each from the level whose scale fits it best.

    Crops may reach over the edge of the photo; what lies outside is gray.

    Args:
        levels: At least one.
        squares: Rows that begin with x1, y1, x2 in photo pixels.
        side: Pixels of a crop.
    """
    wanted = side / np.maximum(squares[:, 2] - squares[:, 0], 1)
    scales = np.stack([level.scale for level in levels])
    chosen = _best_fitting(scales[:, 0], wanted)
    matrices = _sampling(scales[chosen], squares[:, :2], wanted)
    cut = np.empty((len(squares), side, side, 3), np.uint8)
    for crop, index, matrix in zip(cut, chosen.tolist(), matrices, strict=True):
        cv2.warpAffine(
            levels[index].pixels,
            matrix,
            (side, side),
            dst=crop,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=_GRAY,
        )
    return normalized(cut)


def normalized(pixels: Pixels) -> Floats:
    """What the networks of the cascade were trained on: float32 from about -1 to 1."""
    floats = pixels.astype(np.float32)
    floats -= 127.5
    floats *= 1 / 128
    return floats


def _best_fitting(scales: Floats, wanted: Floats) -> NDArray[np.intp]:
    """For each wanted scale the nearest level; one that must be enlarged is a last resort."""
    misfit = np.abs(np.log(scales / wanted[:, None]))
    misfit += scales < wanted[:, None]
    return np.asarray(misfit.argmin(axis=1), np.intp)


def _sampling(scale: Floats, corners: Floats, wanted: Floats) -> NDArray[np.float64]:
    """Affine maps (n, 2, 3) from a crop's pixels to those of its level.

    Pixel i of the crop has its centre at corner + (i + 0.5) * step, and so has its source.
    """
    step = scale / wanted[:, None]
    matrices = np.zeros((len(corners), 2, 3), np.float64)
    matrices[:, 0, 0] = step[:, 0]
    matrices[:, 1, 1] = step[:, 1]
    matrices[:, :, 2] = scale * corners + (step - 1) / 2
    return matrices
