"""What of a photo is embedded: the face, aligned to the template of a bundle, or the middle."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats, Pixels

_MAX_SUPERSAMPLING: Final = 4
"""Beyond this many photo pixels per template pixel it is cheaper to reduce the photo first."""

_TUTORIAL_CROP: Final = 2.5
"""Side of the seed tutorial's crop (250 pixels) in units of its network's input (100)."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AlignmentTemplate:
    """Where the five landmarks lie on an aligned face.

    Attributes:
        size: Side of the square aligned face, in pixels.
        points: Shape (5, 2), pixels, in the order of `Landmarks`.
    """

    size: int
    points: Floats


def similarity(source: Floats, target: Floats) -> Matrix:
    """The rotation, scale and shift that takes `source` to `target` with least squared error.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
    1991, in its closed form for two dimensions.

    Args:
        source: Shape (n, 2).
        target: Shape (n, 2).

    Returns:
        Shape (2, 3).
    """
    a = source.astype(np.float64) - source.mean(axis=0)
    b = target.astype(np.float64) - target.mean(axis=0)
    norm = max(float((a * a).sum()), 1e-12)
    cosine = float((a * b).sum()) / norm
    sine = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / norm
    rotation = np.array([[cosine, -sine], [sine, cosine]])
    shift = target.mean(axis=0) - rotation @ source.mean(axis=0)
    return np.concatenate([rotation, shift[:, None]], axis=1)


def align(pixels: Pixels, landmarks: Floats, template: AlignmentTemplate) -> Pixels:
    """Cut out the face of shape (size, size, 3), upright and scaled; black outside the photo.

    A face larger than the template is sampled more finely and averaged, so that nothing aliases.

    Args:
        pixels: Shape (h, w, 3), RGB.
        landmarks: Shape (5, 2), in pixels of `pixels`; (0, 0) is the corner of the first pixel.
        template: Where the landmarks go.
    """
    pixels, landmarks = _reduced(pixels, landmarks, template)
    # A warp counts from the centre of the first pixel, and so does the template.
    matrix = similarity(landmarks - np.float32(0.5), template.points)
    finer = max(1, int(np.ceil(_reduction(matrix) - 0.25)))
    # Pixel centres: chip pixel i covers the finer pixels i * finer ... (i + 1) * finer - 1.
    matrix = matrix * finer
    matrix[:, 2] += (finer - 1) / 2
    side = template.size * finer
    chip = cv2.warpAffine(pixels, matrix, (side, side), flags=cv2.INTER_LINEAR)
    if finer > 1:
        size = (template.size, template.size)
        chip = cv2.resize(chip, size, interpolation=cv2.INTER_AREA)
    return chip.astype(np.uint8, copy=False)


def central_crop(pixels: Pixels, size: int) -> Pixels:
    """The central square of a photo, of shape (size, size, 3), as the seed tutorial embeds it.

    A square of 2.5 times the size is reduced by bilinear interpolation without averaging, like
    the tutorial's 250 pixels by `tf.image.resize`; a larger one is averaged to that side first.

    Args:
        pixels: Shape (h, w, 3), RGB.
        size: Side of the network's input, in pixels.
    """
    height, width = pixels.shape[:2]
    side, crop = min(height, width), round(_TUTORIAL_CROP * size)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[top : top + side, left : left + side]
    if side > crop:
        square = cv2.resize(square, (crop, crop), interpolation=cv2.INTER_AREA).astype(np.uint8)
    chip = cv2.resize(square, (size, size), interpolation=cv2.INTER_LINEAR)
    return chip.astype(np.uint8, copy=False)


def _reduction(matrix: Matrix) -> float:
    """Photo pixels per template pixel."""
    return 1 / max(float(np.hypot(matrix[0, 0], matrix[1, 0])), 1e-6)


def _reduced(
    pixels: Pixels, landmarks: Floats, template: AlignmentTemplate
) -> tuple[Pixels, Floats]:
    """The photo and its landmarks, reduced where the face is many times the template's size."""
    reduction = _reduction(similarity(landmarks, template.points))
    if reduction <= _MAX_SUPERSAMPLING:
        return pixels, landmarks
    height, width = pixels.shape[:2]
    factor = 2 / reduction
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    ratio = np.array([size[0] / width, size[1] / height], np.float32)
    return small, (landmarks * ratio).astype(np.float32)
