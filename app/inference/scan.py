"""The proposal network's window of 12 pixels, moved over every level of a photo."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from app.domain.entities import Floats, Pixels
from app.inference.litert import Network
from app.inference.pyramid import Level, normalized

CELL: Final = 12
"""Side of the window, in pixels of a level."""

_STRIDE: Final = 2
_OVERLAP: Final = CELL - _STRIDE
_BAND_PIXELS: Final = 15_000
"""Pixels of a level that are scanned at once; this bounds the memory for it."""

_BAND_ROWS: Final = 64
"""Rows of a band at least: bands overlap, so lower ones would do much work twice."""

_BUDGET: Final = 200_000
"""Elements of prepared bands. The levels of a 640x480 photo take 130,000; an element takes about
60 bytes (measured), so this is about 12 MB a thread."""


class Scanner:
    """Finds places that may show a face. One instance per thread.

    Args:
        network: Content of the .tflite file.
        threshold: Least face odds of a place.
    """

    def __init__(self, network: bytes, threshold: float) -> None:
        self._network = Network(network, name="pnet", budget=_BUDGET)
        self._threshold = threshold

    def __call__(self, level: Level) -> Floats:
        """Rows of box, odds and offsets (n, 9) in photo pixels."""
        offsets, odds = self.scan(level.pixels)
        row, column = np.nonzero(odds[0, :, :, 1] > self._threshold)
        found = np.empty((len(row), 9), np.float32)
        found[:, 0] = column * _STRIDE
        found[:, 1] = row * _STRIDE
        found[:, 2:4] = found[:, :2] + CELL
        found[:, :2] /= level.scale
        found[:, 2:4] /= level.scale
        found[:, 4] = odds[0, row, column, 1]
        found[:, 5:] = offsets[0, row, column]
        return found

    def scan(self, pixels: Pixels) -> tuple[Floats, Floats]:
        """Box offsets (1, h', w', 4) and face odds (1, h', w', 2) at every place of the window.

        A large level is scanned in bands, which changes no result.
        """
        parts = [
            [output[:, -fresh:] for output in self._network(normalized(band)[None])]
            for band, fresh in _bands(pixels)
        ]
        offsets, odds = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
        return offsets, odds


def _bands(pixels: Pixels) -> Iterator[tuple[Pixels, int]]:
    """Bands of a level, and how many of each one's last rows of results are new.

    Bands begin at multiples of the stride and overlap by what the window is larger than that. They
    are equally high, up to the last row of an odd level, so that few shapes have to be prepared:
    the last one begins higher than it would have to.
    """
    height, width = pixels.shape[:2]
    rows = (height - _OVERLAP + 1) // _STRIDE
    most = max(_BAND_ROWS, _BAND_PIXELS // width) - _OVERLAP
    count = -(-rows // (most // _STRIDE))
    each = -(-rows // count)
    for first in range(0, rows, each):
        start = min(first, rows - each)
        stop = height if start + each == rows else (start + each) * _STRIDE + _OVERLAP
        yield pixels[start * _STRIDE : stop], min(each, rows - first)
