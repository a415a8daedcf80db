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


def upright(pixels: Pixels, data: bytes) -> Pixels:
    """Turn `pixels`, decoded without rotation from the file `data`, as its EXIF block says."""
    orientation = _orientation_of(data)
    if orientation in _ROTATIONS:
        pixels = cv2.rotate(pixels, _ROTATIONS[orientation]).astype(np.uint8, copy=False)
    if orientation in _MIRRORED:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
    return pixels


def _orientation_of(data: bytes) -> int:
    buffer = np.frombuffer(data, np.uint8)
    _image, kinds, blocks = cv2.imdecodeWithMetadata(buffer, flags=cv2.IMREAD_REDUCED_GRAYSCALE_8)
    for kind, block in zip(kinds, blocks, strict=True):
        if kind == cv2.IMAGE_METADATA_EXIF:
            return orientation(np.asarray(block, np.uint8).tobytes())
    return 1


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
