"""Photos for the benchmarks, made from the public-domain portraits of the tests."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np

from app.domain.entities import Pixels

PORTRAIT: Final = Path(__file__).parents[1] / "tests/fixtures/portraits/astronaut.jpg"
_WIDTH, _HEIGHT = 640, 480


def probe() -> bytes:
    """A 640x480 JPEG with one face in it."""
    return _photo(scale=1.0, brightness=0, shift=0)


def references(count: int) -> list[bytes]:
    """`count` different 640x480 photos of the same person."""
    return [
        _photo(scale=0.92 + 0.02 * (i % 5), brightness=i % 7 * 4 - 12, shift=i * 2 - count)
        for i in range(count)
    ]


def _photo(*, scale: float, brightness: int, shift: int) -> bytes:
    portrait = cv2.imread(str(PORTRAIT))
    if portrait is None:
        raise FileNotFoundError(PORTRAIT)
    factor = scale * _HEIGHT / portrait.shape[0]
    moved = np.array(
        [
            [factor, 0, (_WIDTH - factor * portrait.shape[1]) / 2 + shift],
            [0, factor, (_HEIGHT - factor * portrait.shape[0]) / 2],
        ]
    )
    canvas = cv2.warpAffine(
        portrait,
        moved,
        (_WIDTH, _HEIGHT),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(96, 96, 96),
    )
    pixels: Pixels = np.clip(canvas.astype(np.int16) + brightness, 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
