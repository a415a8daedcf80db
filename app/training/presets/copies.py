"""The seed tutorial's augmentation: nine copies of each image, each a little different."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Pixels

COPIES: Final = 9

BRIGHTNESS: Final = 0.02
CONTRAST: Final = (0.6, 1.0)
QUALITY: Final = (90, 100)
SATURATION: Final = (0.9, 1.0)

_Values = NDArray[np.float32]


def copied(face: Pixels, number: int, seed: tuple[int, int]) -> Pixels:
    """An image's copy, of the same shape; the same for the same number and seed.

    As the tutorial does with tf.image, in its order: brightness, contrast, flip, JPEG, saturation.
    Its own copies are each made from the copy before, so that the ninth has 0.6 to 1 of the
    contrast nine times over, and its seeds for brightness and contrast are constant; here each is
    made from the image, so the ranges hold for every copy.

    Args:
        face: RGB.
        number: 0 is the image itself, 1 to `COPIES` its copies.
        seed: Of the training, and the image's own number.
    """
    if not number:
        return face
    random = np.random.default_rng([*seed, number])
    changed = brightened(face, random.uniform(-BRIGHTNESS, BRIGHTNESS))
    changed = contrasted(changed, random.uniform(*CONTRAST))
    if random.random() < 0.5:
        changed = np.ascontiguousarray(changed[:, ::-1])
    changed = compressed(changed, int(random.integers(QUALITY[0], QUALITY[1] + 1)))
    return saturated(changed, random.uniform(*SATURATION))


def brightened(face: Pixels, delta: float) -> Pixels:
    """`delta` of the full range added."""
    return _pixels(_values(face) + np.float32(delta))


def contrasted(face: Pixels, factor: float) -> Pixels:
    """Each channel's distance from its mean, times `factor`."""
    values = _values(face)
    mean = values.mean(axis=(0, 1), dtype=np.float32)
    return _pixels((values - mean) * np.float32(factor) + mean)


def compressed(face: Pixels, quality: int) -> Pixels:
    """As a JPEG file of this quality shows it."""
    _done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(face, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    assert decoded is not None
    return decoded.astype(np.uint8, copy=False)


def saturated(face: Pixels, factor: float) -> Pixels:
    """The saturation of HSV times `factor`.

    Value and hue stay, so each channel keeps its place between the largest and gray: that is
    `largest - (largest - channel) * factor`.
    """
    values = _values(face)
    largest = values.max(axis=-1, keepdims=True)
    return _pixels(largest - (largest - values) * np.float32(factor))


def _values(face: Pixels) -> _Values:
    return (face / np.float32(255)).astype(np.float32)


def _pixels(values: _Values) -> Pixels:
    rounded: Pixels = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return rounded
