"""Image bytes to upright RGB pixels, with limits held against the header before decoding."""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Pixels
from app.domain.errors import ImageTooLargeError, InvalidImageError
from app.inference.exif import upright
from app.inference.image_header import ImageHeader, read_header

WORKING_SIDE: Final = 1920
"""Longest side, in pixels, that is looked at; larger photos are reduced while decoding."""

SEARCH_SIDE: Final = 4096
"""Longest side of a second look, for photos on which no face was found at `WORKING_SIDE`."""

_JPEG_REDUCTIONS: Final = (
    (8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_COLOR_2),
)


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What is accepted.

    Attributes:
        max_bytes: Bytes of the file.
        max_pixels: Width times height that the header states.
    """

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 50_000_000


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo.

    Attributes:
        pixels: Shape (h, w, 3), uint8, RGB, upright, reduced to the side that was asked for.
        width: Pixels of the upright original.
        height: Pixels of the upright original.
    """

    pixels: Pixels
    width: int
    height: int

    @property
    def scale(self) -> float:
        """Pixels of the original per pixel of `pixels`."""
        return max(self.width, self.height) / float(max(self.pixels.shape[:2]))


def decode(data: bytes, limits: DecodeLimits, side: int = WORKING_SIDE) -> Photo:
    """Decode a JPEG, PNG, WebP or BMP file.

    EXIF rotation is applied; gray, CMYK and 16-bit images become 8-bit RGB; transparent pixels
    are laid over white (but for the colour that a gray PNG may declare transparent, which OpenCV
    does not tell).

    Args:
        data: The file.
        limits: What is accepted.
        side: Longest side of the result; a larger photo is reduced to it.

    Raises:
        ImageTooLargeError: If the file or the stated size is over a limit; nothing is decoded.
        UnsupportedMediaTypeError: If it is another kind of file.
        InvalidImageError: If it can't be decoded.
    """
    if not data:
        raise InvalidImageError("The image file is empty.")
    if len(data) > limits.max_bytes:
        raise ImageTooLargeError(
            f"The image file has {len(data)} bytes; at most {limits.max_bytes} are accepted.",
            bytes=len(data),
            max_bytes=limits.max_bytes,
        )
    header = read_header(data)
    if header.width * header.height > limits.max_pixels:
        raise ImageTooLargeError(
            f"The image has {header.width} x {header.height} pixels; at most "
            f"{limits.max_pixels} are accepted.",
            width=header.width,
            height=header.height,
            max_pixels=limits.max_pixels,
        )
    pixels = _decode_pixels(data, header, side)
    width, height = header.width, header.height
    if (pixels.shape[1] > pixels.shape[0]) != (width > height):
        width, height = height, width
    return Photo(_reduce(pixels, side), width, height)


def _decode_pixels(data: bytes, header: ImageHeader, side: int) -> Pixels:
    flag = cv2.IMREAD_UNCHANGED if header.alpha else _decode_flag(header, side)
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except (cv2.error, MemoryError):
        decoded = None
    if decoded is None:
        raise InvalidImageError("The image file is damaged and can't be decoded.")
    if header.alpha:
        return upright(_over_white(decoded), data)
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def _decode_flag(header: ImageHeader, side: int) -> int:
    """A JPEG is reduced inside the decoder, which costs a fraction of the time and memory."""
    if header.format == "jpeg":
        for factor, flag in _JPEG_REDUCTIONS:
            if max(header.width, header.height) >= factor * side:
                return flag
    return cv2.IMREAD_COLOR


def _over_white(decoded: NDArray[Any]) -> Pixels:
    """Gray, RGB or RGBA of 8 or 16 bits, in OpenCV's order of channels, to RGB."""
    if decoded.dtype == np.uint16:
        decoded = (decoded >> 8).astype(np.uint8)
    if decoded.ndim == 2:
        return cv2.cvtColor(decoded, cv2.COLOR_GRAY2RGB).astype(np.uint8, copy=False)
    rgb = decoded[:, :, 2::-1]
    if decoded.shape[2] == 4:
        alpha = decoded[:, :, 3:].astype(np.uint16)
        rgb = ((rgb * alpha + 255 * (255 - alpha)) // 255).astype(np.uint8)
    return np.ascontiguousarray(rgb)


def _reduce(pixels: Pixels, side: int) -> Pixels:
    height, width = pixels.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return pixels
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
