"""Perceptual hashes: copies of a photo are near each other, other photos are far.

Both are the signs, against their median, of the 256 lowest frequencies of the discrete cosine
transform of a small gray picture (after Zauner, "Implementation and Benchmarking of Perceptual
Image Hash Functions", 2010, with more frequencies, as faces share the lowest ones). A distance is
the number of bits that differ; two unrelated photos are at 128 or so.

How far is near was measured, not guessed: on 6,201 photos of LFW and 4,209 of celeba-wild, and on
160 photos of both in 16 versions each (JPEG 30 to 80, resized 0.5 to 2 times, up to 10 % cut off
each edge, 15 % brighter, 20 % darker, gray, and shifted, turned, scaled and noisy as the next frame
of a video):

- `FACE_NEAR`: of 28 million pairs of photos of two people 6 are as near, and all 6 are one photo
  under two names; of 254,000 pairs of one person 118, most of them copies or of one moment.
- `SCENE_NEAR`: none but copies and neighbours of one moment either.
- 96 % of the versions are as near by the face (the detector's points differ a little on hard
  photos, and the aligned face with them), 99.2 % by face or scene; `FACE_ALIKE` together with an
  embedding that is nearly the same finds most of the rest (see `app.training.data.nearness`).
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats, Pixels
from app.inference.align import AlignmentTemplate, align

FACE_NEAR: Final = 50
SCENE_NEAR: Final = 40

FACE_ALIKE: Final = 75
"""As near are 2 in 1,000 pairs of photos of one person: a hint, no proof."""

NEIGHBOURING_FACES: Final = 80
"""As near are 7 in 1,000 pairs of photos of one person: near enough for two that were also taken
one right after the other."""
NEIGHBOURING_SCENES: Final = 60

WORDS: Final = 4
"""A hash is this many words of 64 bits."""

_SIDE: Final = 64
_FREQUENCIES: Final = 16

# The default bundle's template with 5 pixels around it, reduced. It is fixed, as the distances
# above hold for it.
_TEMPLATE: Final = AlignmentTemplate(
    _SIDE,
    np.array(
        [[20.2, 19.4], [43.4, 19.4], [31.8, 33.78], [21.5, 43.77], [42.1, 43.77]],
        np.float32,
    ),
)


def face_hash(pixels: Pixels, landmarks: Floats) -> int:
    """Hash of a face: the same whatever is cut off the photo around it, and at any size.

    Args:
        pixels: The photo, shape (h, w, 3), RGB.
        landmarks: Shape (5, 2), in pixels of the photo.
    """
    return _hash(align(pixels, landmarks, _TEMPLATE))


def scene_hash(pixels: Pixels) -> int:
    """Hash of a whole photo, wherever the detector sees the face in it."""
    small = cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return _hash(small.astype(np.uint8, copy=False))


def as_words(hashes: list[int]) -> NDArray[np.uint64]:
    """Hashes as rows of shape (n, `WORDS`), for `distances`."""
    data = b"".join(value.to_bytes(8 * WORDS) for value in hashes)
    return np.frombuffer(data, np.uint64).reshape(-1, WORDS)


def distances(one: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Bits in which a hash, shape (`WORDS`,), differs from each of (n, `WORDS`); shape (n,)."""
    bits: NDArray[np.intp] = np.bitwise_count(others ^ one).sum(axis=1, dtype=np.intp)
    return bits


def _hash(pixels: Pixels) -> int:
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    low = cv2.dct(gray)[:_FREQUENCIES, :_FREQUENCIES].copy()
    low[0, 0] = 0  # the mean brightness is no feature of a picture
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes())
