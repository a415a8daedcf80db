"""Frames composed of real faces, so that it is known where the faces are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Face, Floats, Pixels

Matrix = NDArray[np.float64]

_SURROUNDINGS: Final = 1.1
"""Pixels around a face's centre that come along, in heights of its box, to each side."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """A photo, and the one face that was found on it."""

    pixels: Pixels
    face: Face


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a face lies in a frame.

    Attributes:
        landmarks: Shape (5, 2), pixels of the frame.
        width: Of the box of the unturned face, pixels of the frame.
        eye_distance: Pixels of the frame.
    """

    landmarks: Floats
    width: float
    eye_distance: float


@dataclass(frozen=True, slots=True)
class Frame:
    """A composed photo and the faces in it."""

    pixels: Pixels
    faces: tuple[Placed, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """How frames are composed.

    Attributes:
        size: Width and height in pixels.
        face: Width of a face's box in pixels.
        faces: How many are in a frame, each in a column of its own.
        degrees: By which they are turned, clockwise.
        finish: What is done to the whole frame.
    """

    size: tuple[int, int]
    face: float
    faces: int = 1
    degrees: float = 0.0
    finish: Callable[[Pixels], Pixels] | None = None

    def compose(self, portraits: Sequence[Portrait], rng: np.random.Generator) -> Frame:
        """A frame with these portraits, as many as `faces`, at random places."""
        canvas = _background(portraits[0].pixels, self.size)
        placed = []
        for column, portrait in enumerate(portraits):
            centre = self._place(column, rng)
            matrix, scale = self._pose(portrait.face, centre)
            canvas = _pasted(canvas, portrait, matrix, scale)
            placed.append(_placed(portrait.face, matrix, scale))
        return Frame(self.finish(canvas) if self.finish else canvas, tuple(placed))

    def _place(self, column: int, rng: np.random.Generator) -> Floats:
        """A centre for a face, so that the face lies wholly inside its column."""
        width, height = self.size[0] / self.faces, self.size[1]
        margin = min(self.face, width / 2, height / 2)
        x = column * width + rng.uniform(margin, width - margin)
        return np.array([x, rng.uniform(margin, height - margin)], np.float32)

    def _pose(self, face: Face, centre: Floats) -> tuple[Matrix, float]:
        """Affine map (2, 3) from the portrait to the frame, and its scale."""
        scale = self.face / face.box.width
        angle = np.radians(self.degrees)
        cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
        turn = np.array([[cosine, -sine], [sine, cosine]])
        shift = centre - turn @ _centre(face)
        return np.concatenate([turn, shift[:, None]], axis=1), scale


def _centre(face: Face) -> Matrix:
    box = face.box
    return np.array([box.x + box.width / 2, box.y + box.height / 2])


def _background(photo: Pixels, size: tuple[int, int]) -> Pixels:
    """The photo's own colours without any shape that could be taken for a face."""
    tiny = cv2.resize(photo, (4, 3), interpolation=cv2.INTER_AREA)
    return cv2.resize(tiny, size, interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)


def _pasted(canvas: Pixels, portrait: Portrait, matrix: Matrix, scale: float) -> Pixels:
    """The canvas with the face and what surrounds it on its photo."""
    box, (x, y) = portrait.face.box, _centre(portrait.face)
    reach = _SURROUNDINGS * box.height
    height, width = portrait.pixels.shape[:2]
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    right, bottom = min(width, round(x + reach)), min(height, round(y + reach))
    cut = portrait.pixels[top:bottom, left:right]
    size = (max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale)))
    # Reduced before it is turned, as a warp does not average; pixels count from their centres.
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(cut, size, interpolation=how)
    ratio = np.array([cut.shape[1] / size[0], cut.shape[0] / size[1]])
    warp = matrix.copy()
    warp[:, :2] = matrix[:, :2] * ratio
    warp[:, 2] += matrix[:, :2] @ (np.array([left, top]) + 0.5 * ratio) - 0.5
    frame_size = (canvas.shape[1], canvas.shape[0])
    cv2.warpAffine(
        small, warp, frame_size, canvas, cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT
    )
    return canvas


def _placed(face: Face, matrix: Matrix, scale: float) -> Placed:
    points = face.landmarks.as_array()
    moved = (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    eyes = float(np.linalg.norm(moved[1] - moved[0]))
    return Placed(moved, face.box.width * scale, eyes)
