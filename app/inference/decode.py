"""Image bytes to upright RGB pixels, with limits held against the header before decoding."""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Pixels
from app.domain.errors import ImageTooLargeError, InvalidImageError
from app.inference.chunks import png_for_decoder
from app.inference.exif import upright
from app.inference.image_header import ImageHeader, read_header

WORKING_SIDE: Final = 1920
"""Longest side, in pixels, that is looked at; larger photos are reduced while decoding."""

SEARCH_SIDE: Final = 4096
"""Longest side of a second look, for photos on which no face was found at `WORKING_SIDE`."""

_STRIPE_PIXELS: Final = 1 << 20
"""Pixels that are laid over white at once, which bounds the memory for it."""

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
        max_pixels: Width times height that the header states; half as many where a pixel takes
            twice the memory, in images of 16 bits with transparency.
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
    _hold_pixels(header, limits)
    pixels = _decode_pixels(data, header, side)
    width, height = header.width, header.height
    if (pixels.shape[1] > pixels.shape[0]) != (width > height):
        width, height = height, width
    return Photo(pixels, width, height)


def _hold_pixels(header: ImageHeader, limits: DecodeLimits) -> None:
    double = header.alpha and header.deep
    limit = limits.max_pixels // (2 if double else 1)
    if header.width * header.height > limit:
        kind = " of a 16-bit image with transparency" if double else ""
        raise ImageTooLargeError(
            f"The image has {header.width} x {header.height} pixels; at most "
            f"{limit}{kind} are accepted.",
            width=header.width,
            height=header.height,
            max_pixels=limit,
        )


def _decode_pixels(data: bytes, header: ImageHeader, side: int) -> Pixels:
    """Upright RGB pixels, reduced to `side`."""
    if header.format == "png":
        data = png_for_decoder(data)
    flag = cv2.IMREAD_UNCHANGED if header.alpha else _decode_flag(header, side)
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except (cv2.error, MemoryError):
        decoded = None
    if decoded is None:
        raise InvalidImageError("The image file is damaged and can't be decoded.")
    if header.alpha:
        return _reduce(upright(_over_white(decoded), header.exif), side)
    # Reduced first: channels don't meet in it, and the large photo needs no second copy.
    small = _reduce(decoded.astype(np.uint8, copy=False), side)
    return cv2.cvtColor(small, cv2.COLOR_BGR2RGB, dst=small).astype(np.uint8, copy=False)


def _decode_flag(header: ImageHeader, side: int) -> int:
    """A JPEG is reduced inside the decoder, which costs a fraction of the time and memory."""
    if header.format == "jpeg":
        for factor, flag in _JPEG_REDUCTIONS:
            if max(header.width, header.height) >= factor * side:
                return flag
    return cv2.IMREAD_COLOR


def _over_white(decoded: NDArray[Any]) -> Pixels:
    """Gray, RGB or RGBA of 8 or 16 bits, in OpenCV's order of channels, to RGB.

    `decoded` is overwritten: an RGB row is never longer than the row that it comes from, so the
    result is put where the rows before it were, and a large photo needs no second copy.
    """
    if decoded.ndim == 2:
        gray = (decoded >> 8).astype(np.uint8) if decoded.dtype == np.uint16 else decoded
        return cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB).astype(np.uint8, copy=False)
    height, width = decoded.shape[:2]
    rgb: Pixels = decoded.reshape(-1).view(np.uint8)[: height * width * 3]
    rgb = rgb.reshape(height, width, 3)
    rows = max(1, _STRIPE_PIXELS // width)
    for start in range(0, height, rows):
        rgb[start : start + rows] = _stripe_over_white(decoded[start : start + rows])
    return rgb


def _stripe_over_white(stripe: NDArray[Any]) -> Pixels:
    if stripe.dtype == np.uint16:
        stripe = (stripe >> 8).astype(np.uint8)
    rgb = stripe[:, :, 2::-1]
    if stripe.shape[2] == 4:
        alpha = stripe[:, :, 3:].astype(np.uint16)
        rgb = (rgb * alpha + 255 * (255 - alpha)) // 255
    return rgb.astype(np.uint8)


def _reduce(pixels: Pixels, side: int) -> Pixels:
    height, width = pixels.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return pixels
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
