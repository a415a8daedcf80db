"""Pictures for tests: the two public-domain portraits, and what is made from them."""

import struct
import zlib
from itertools import starmap
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Pixels

FIXTURES: Final = Path(__file__).parent / "fixtures"
ASTRONAUT: Final = FIXTURES / "portraits" / "astronaut.jpg"
PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
HOPPER: Final = FIXTURES / "portraits" / "grace_hopper.jpg"


def read(path: Path) -> Pixels:
    """RGB pixels of a picture."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    return pixels.astype(np.uint8, copy=False)


def encode(pixels: NDArray[Any], suffix: str = ".jpg") -> bytes:
    """RGB (or gray, or RGBA) pixels as an image file."""
    swapped: NDArray[Any] = pixels
    if pixels.ndim == 3:
        code = cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
        swapped = cv2.cvtColor(pixels, code).astype(pixels.dtype, copy=False)
    done, data = cv2.imencode(suffix, swapped)
    assert done
    return data.tobytes()


def side_by_side(*pictures: Pixels, height: int = 480) -> Pixels:
    """Several portraits in one photo."""
    scaled = [
        cv2.resize(p, (p.shape[1] * height // p.shape[0], height), interpolation=cv2.INTER_AREA)
        for p in pictures
    ]
    return np.concatenate(scaled, axis=1).astype(np.uint8, copy=False)


def blank(width: int = 320, height: int = 240) -> Pixels:
    """A photo without a face."""
    return np.full((height, width, 3), 128, np.uint8)


def exif(orientation: int) -> bytes:
    """An EXIF block with nothing but an orientation."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", 1) + entry + bytes(4)


def with_exif(jpeg: bytes, orientation: int) -> bytes:
    """A JPEG file with an EXIF orientation."""
    payload = b"Exif\x00\x00" + exif(orientation)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + jpeg[2:]


def turned(pixels: Pixels, orientation: int) -> Pixels:
    """The pixels as a camera stores them that writes this EXIF orientation."""
    back = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels, 1),
        7: pixels[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(pixels, -1),
    }
    return np.ascontiguousarray(back[orientation])


def png_claiming(width: int, height: int) -> bytes:
    """A small PNG file whose header states any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return PNG_SIGNATURE + b"".join(
        starmap(png_chunk, ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")))
    )


def transparent_png(colour: int, palette: bytes, clear: bytes) -> bytes:
    """A PNG of 8 x 8 black pixels that a tRNS chunk makes transparent."""
    channels = 3 if colour == 2 else 1
    rows = zlib.compress((b"\x00" + bytes(8 * channels)) * 8)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, colour, 0, 0, 0))]
    chunks += [(b"PLTE", palette)] if palette else []
    chunks += [(b"tRNS", clear), (b"IDAT", rows), (b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(starmap(png_chunk, chunks))


def png_chunk(name: bytes, body: bytes) -> bytes:
    """A PNG chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
