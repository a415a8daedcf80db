"""Photos for the benchmarks, made from the public-domain portraits of the tests."""

from functools import cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from app.domain.entities import Pixels

PORTRAITS: Final = Path(__file__).parents[1] / "tests/fixtures/portraits"
PEOPLE: Final = ("astronaut", "grace_hopper")
PERSON: Final = PEOPLE[0]
"""Whom `probe` and `references` show."""
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


def variant(person: str, seed: int, *, width: int = _WIDTH, height: int = _HEIGHT) -> bytes:
    """A JPEG of one of `PEOPLE`; every seed gives another file."""
    rng = np.random.default_rng(seed)
    return _photo(
        scale=rng.uniform(0.9, 1.05),
        brightness=int(rng.integers(-15, 16)),
        shift=int(rng.integers(-20, 21)),
        person=person,
        size=(width, height),
    )


def _photo(
    *,
    scale: float,
    brightness: int,
    shift: int,
    person: str = PERSON,
    size: tuple[int, int] = (_WIDTH, _HEIGHT),
) -> bytes:
    portrait, (width, height) = _portrait(person), size
    factor = scale * height / portrait.shape[0]
    moved = np.array(
        [
            [factor, 0, (width - factor * portrait.shape[1]) / 2 + shift],
            [0, factor, (height - factor * portrait.shape[0]) / 2],
        ]
    )
    canvas = cv2.warpAffine(
        portrait,
        moved,
        size,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(96, 96, 96),
    )
    pixels: Pixels = np.clip(canvas.astype(np.int16) + brightness, 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


@cache
def _portrait(person: str) -> Pixels:
    path = PORTRAITS / f"{person}.jpg"
    portrait = cv2.imread(str(path))
    if portrait is None:
        raise FileNotFoundError(path)
    return np.asarray(portrait, np.uint8)
