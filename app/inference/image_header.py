"""Format and size of an image file from its first bytes, before anything is decoded."""

import re
import struct
from dataclasses import dataclass
from typing import Final

from app.domain.errors import InvalidImageError, UnsupportedMediaTypeError
from app.inference.chunks import PNG_SIGNATURE, content, png_chunks, webp_chunks


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What the header says; nothing has been decoded yet.

    Attributes:
        format: `jpeg`, `png`, `webp` or `bmp`.
        width: Pixels, before any EXIF rotation.
        height: Pixels, before any EXIF rotation.
        alpha: Whether the file may have transparent pixels.
        deep: Whether a channel has 16 bits.
        exif: The EXIF block of a PNG or WebP file; empty if it has none, and for other formats.
    """

    format: str
    width: int
    height: int
    alpha: bool = False
    deep: bool = False
    exif: bytes = b""


_JPEG_SIZES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Markers with a length; within pixels, FF is followed by 00 or by a restart marker.
_MARKER: Final = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_WEBP_ANIMATED: Final = 0x02
_WEBP_ALPHA: Final = 0x10
_SCAN: Final = 0xDA
_END: Final = 0xD9
_MAX_SCANS: Final = 32
"""An ordinary progressive JPEG has about ten."""
_MAX_SEGMENTS: Final = 1024
"""Full segments of 64 KiB fill a file of the largest size with fewer; tiny ones only cost time."""
_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
_HEIF_BRANDS: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_MAX_BRANDS_END: Final = 256
"""Files name about five brands; a box that claims to be longer is not read to its end."""


def read_header(data: bytes) -> ImageHeader:
    """Recognise an image by its content; file names and media types are not trusted.

    Raises:
        UnsupportedMediaTypeError: If the bytes are not JPEG, PNG, WebP or BMP.
            Animated images are refused in the same way. What phones save instead is named.
        InvalidImageError: If the header is incomplete or contradicts itself, or the file is made
            of more parts than a photo has.
        ImageTooLargeError: If a PNG or WebP file carries too much metadata.
    """
    try:
        header = _parse(data)
    except (struct.error, IndexError):
        raise InvalidImageError("The image file is cut off in its header.") from None
    if header.width <= 0 or header.height <= 0:
        raise InvalidImageError("The image file states a size of zero.")
    return header


def _parse(data: bytes) -> ImageHeader:
    if data.startswith(b"\xff\xd8\xff"):
        return _parse_jpeg(data)
    if data.startswith(PNG_SIGNATURE):
        return _parse_png(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _parse_webp(data)
    if data.startswith(b"BM"):
        return _parse_bmp(data)
    _refuse_phone_format(data)
    raise UnsupportedMediaTypeError("The file is not a JPEG, PNG, WebP or BMP image.")


def _refuse_phone_format(data: bytes) -> None:
    """Name the formats that phones save by default, and what to do; videos begin alike."""
    if data[4:8] != b"ftyp":
        return
    end = min(int.from_bytes(data[:4]), _MAX_BRANDS_END)
    # The main brand, which may be the general mif1, and after its version the compatible ones.
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))}
    if brands & _AVIF_BRANDS:
        kind = "an AVIF"
    elif brands & _HEIF_BRANDS:
        kind = "a HEIC"
    else:
        return
    raise UnsupportedMediaTypeError(f"This is {kind} photo, which is not read: convert it to JPEG.")


def _parse_jpeg(data: bytes) -> ImageHeader:
    """Size of the frame; the scans are counted, because each one costs a pass over all pixels."""
    size: tuple[int, int] | None = None
    scans = 0
    position = 2
    for _ in range(_MAX_SEGMENTS):
        found = _MARKER.search(data, position)
        if found is None or found[0][-1] == _END:
            break
        marker = found[0][-1]
        (length,) = struct.unpack_from(">H", data, found.end())
        if length < 2:
            raise InvalidImageError("The JPEG file is damaged in its header.")
        if marker in _JPEG_SIZES and size is None:
            height, width = struct.unpack_from(">HH", data, found.end() + 3)
            size = (width, height)
        scans += marker == _SCAN
        if scans > _MAX_SCANS:
            raise InvalidImageError(f"The JPEG file has more than {_MAX_SCANS} scans.")
        position = found.end() + length
    else:
        raise InvalidImageError(f"The JPEG file has more than {_MAX_SEGMENTS} segments.")
    if size is None or not scans:
        raise InvalidImageError("The JPEG file is damaged: it states no size or holds no pixels.")
    return ImageHeader("jpeg", *size)


def _parse_png(data: bytes) -> ImageHeader:
    if data[12:16] != b"IHDR":
        raise InvalidImageError("The PNG file does not begin with its size.")
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    chunks = png_chunks(data)
    return ImageHeader(
        "png",
        width,
        height,
        alpha=colour in {4, 6} or any(chunk.name == b"tRNS" for chunk in chunks),
        deep=depth == 16,
        exif=content(data, chunks, b"eXIf"),
    )


def _parse_webp(data: bytes) -> ImageHeader:
    chunks = webp_chunks(data)
    kind = data[12:16]
    if kind == b"VP8X":
        if len(data) < 30:
            raise IndexError
        if data[20] & _WEBP_ANIMATED:
            raise UnsupportedMediaTypeError("The image is animated. Send a still photo.")
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
        alpha = bool(data[20] & _WEBP_ALPHA)
        return ImageHeader("webp", width, height, alpha, exif=content(data, chunks, b"EXIF"))
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        alpha = bool(bits >> 28 & 1)
        return ImageHeader("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, alpha)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return ImageHeader("webp", width & 0x3FFF, height & 0x3FFF)
    raise InvalidImageError("The WebP file states no size.")


def _parse_bmp(data: bytes) -> ImageHeader:
    (header_size,) = struct.unpack_from("<I", data, 14)
    if header_size == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    return ImageHeader("bmp", width, abs(height))
