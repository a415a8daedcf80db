"""Views of an aligned face: cut out a little differently, mirrored, or as a worse photo of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Pixels
from app.training.adaptation.faces import MARGIN

Random = np.random.Generator
Degrade = Callable[[Pixels, Random], Pixels]


@dataclass(frozen=True, slots=True)
class View:
    """How an aligned face is cut out.

    Attributes:
        scale: Size of the face relative to the template.
        shift: Pixels right and down.
        degrees: Turn, clockwise.
        mirrored: Left and right exchanged.
    """

    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    degrees: float = 0.0
    mirrored: bool = False


@dataclass(frozen=True, slots=True)
class Jitter:
    """Ranges that views are drawn from, evenly.

    Attributes:
        scale: Least and largest.
        shift: Pixels, at most, along each axis.
        degrees: At most, either way.
    """

    scale: tuple[float, float]
    shift: float
    degrees: float

    def draw(self, random: Random) -> View:
        """A random view, mirrored half of the time."""
        shift = random.uniform(-self.shift, self.shift, 2)
        return View(
            scale=random.uniform(*self.scale),
            shift=(float(shift[0]), float(shift[1])),
            degrees=random.uniform(-self.degrees, self.degrees),
            mirrored=bool(random.random() < 0.5),
        )


def cut(wide: Pixels, view: View) -> Pixels:
    """An aligned face of shape (side - 2 * MARGIN, side - 2 * MARGIN, 3) from a wide one."""
    size = wide.shape[0] - 2 * MARGIN
    if view == View(mirrored=view.mirrored):
        face = _pixels(wide[MARGIN:-MARGIN, MARGIN:-MARGIN])
    else:
        centre = (wide.shape[0] - 1) / 2
        matrix = cv2.getRotationMatrix2D((centre, centre), -view.degrees, view.scale)
        matrix[:, 2] += np.array(view.shift) - MARGIN
        face = _pixels(cv2.warpAffine(wide, matrix, (size, size), flags=cv2.INTER_LINEAR))
    return np.ascontiguousarray(face[:, ::-1] if view.mirrored else face, np.uint8)


def degrade(face: Pixels, random: Random) -> Pixels:
    """The face as one kind of worse photo would show it, and often through a poor JPEG as well."""
    kind = int(random.integers(len(_KINDS)))
    worse = np.ascontiguousarray(_KINDS[kind](face, random), np.uint8)
    if random.random() < 0.5:
        worse = _jpeg(worse, int(random.uniform(15, 80)))
    return worse


def _small(face: Pixels, random: Random) -> Pixels:
    """From a face of 28 to 90 pixels."""
    side = int(random.uniform(28, 90))
    small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
    return _pixels(cv2.resize(small, face.shape[1::-1], interpolation=cv2.INTER_LINEAR))


def _blurred(face: Pixels, random: Random) -> Pixels:
    return _pixels(cv2.GaussianBlur(face, (0, 0), random.uniform(0.7, 4)))


def _dark(face: Pixels, random: Random) -> Pixels:
    """Little light: a steeper tone curve, a shorter range, and the noise of a sensor."""
    light = (face / 255) ** random.uniform(1, 2.2) * random.uniform(0.4, 1)
    noise = random.normal(size=face.shape) * random.uniform(0, 0.06)
    return _pixels((light + noise) * 255)


def _tinted(face: Pixels, random: Random) -> Pixels:
    """Another exposure, contrast and white balance."""
    middle = float(face.mean())
    toned = (face.astype(np.float32) - middle) * random.uniform(0.5, 1.3)
    toned = toned + middle * random.uniform(0.7, 1.25)
    return _pixels(toned * random.uniform(0.85, 1.15, 3))


def _gray(face: Pixels, _random: Random) -> Pixels:
    return np.repeat(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2).astype(np.uint8)


def _covered(face: Pixels, random: Random) -> Pixels:
    """A one-coloured rectangle over a part of the face, or over all of it from the nose down."""
    covered, size = face.copy(), face.shape[0]
    colour = random.integers(0, 256, 3)
    if random.random() < 0.4:
        covered[int(size * random.uniform(0.53, 0.67)) :] = colour
        return covered
    width, height = random.integers(size // 6, size // 2, 2)
    left, top = random.integers(size - width), random.integers(size - height)
    covered[top : top + height, left : left + width] = colour
    return covered


_KINDS: Final[tuple[Degrade, ...]] = (
    _small,
    _blurred,
    _dark,
    _tinted,
    _gray,
    _covered,
)


def _jpeg(face: Pixels, quality: int) -> Pixels:
    _done, data = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return _pixels(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)))


def _pixels(values: NDArray[Any]) -> Pixels:
    clipped: Pixels = np.clip(values, 0, 255).astype(np.uint8)
    return clipped
