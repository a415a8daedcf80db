"""EXIF orientation for the one path on which OpenCV does not apply it: images with alpha."""

from typing import Final, Literal

import cv2
import numpy as np

from app.domain.entities import Pixels

_ORIENTATION: Final = 0x0112
_ROTATIONS: Final = {
    3: cv2.ROTATE_180,
    4: cv2.ROTATE_180,
    5: cv2.ROTATE_90_CLOCKWISE,
    6: cv2.ROTATE_90_CLOCKWISE,
    7: cv2.ROTATE_90_COUNTERCLOCKWISE,
    8: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
_MIRRORED: Final = frozenset({2, 4, 5, 7})


def upright(pixels: Pixels, exif: bytes) -> Pixels:
    """Turn `pixels`, decoded without rotation, as the EXIF block of their file says."""
    turn = orientation(exif)
    if turn in _ROTATIONS:
        pixels = cv2.rotate(pixels, _ROTATIONS[turn]).astype(np.uint8, copy=False)
    if turn in _MIRRORED:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
    return pixels


def orientation(exif: bytes) -> int:
    """Orientation 1..8 of an EXIF block, with or without its prefix; 1 if it states none."""
    tiff = exif.removeprefix(b"Exif\x00\x00")
    if tiff[:2] not in {b"II", b"MM"}:
        return 1

    def number(start: int, length: int) -> int:
        order: Literal["little", "big"] = "little" if tiff[:2] == b"II" else "big"
        return int.from_bytes(tiff[start : start + length], order)

    first = number(4, 4)
    for entry in range(first + 2, first + 2 + 12 * min(number(first, 2), 512), 12):
        if number(entry, 2) == _ORIENTATION:
            value = number(entry + 8, 2)
            return value if 1 <= value <= 8 else 1
    return 1
