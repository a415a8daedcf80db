"""Small image files of every kind that the service reads, to be damaged by `benchmarks.mutations`.

Each shows a face, so that what survives the damage runs through the whole pipeline.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_FIXTURES: Final = Path(__file__).parents[1] / "tests/fixtures"
# Head and shoulders: left, top, side in pixels of the portrait.
_CROPS: Final = {"astronaut.jpg": (125, 10, 200), "grace_hopper.jpg": (125, 20, 310)}
_SIDE: Final = 160
_PASSES: Final = (  # Adam7: first column, first row, step of columns, step of rows
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_EXIF: Final = b"II*\x00\x08\x00\x00\x00" + struct.pack(
    "<H HHIHH HHII I", 2, 0x0112, 3, 1, 2, 0, 0x8769, 4, 1, 8, 0
)
"""Orientation 2, which keeps faces upright, and a directory that leads back to itself."""

Array = NDArray[Any]


def seeds() -> tuple[bytes, ...]:
    """All seed files, the same at each call."""
    made: list[bytes] = [
        (_FIXTURES / name).read_bytes() for name in ("cmyk.jpg", "progressive.jpg")
    ]
    for name, (left, top, side) in _CROPS.items():
        portrait = cv2.imread(str(_FIXTURES / "portraits" / name))
        if portrait is None:
            raise FileNotFoundError(name)
        head = portrait[top : top + side, left : left + side]
        bgr = cv2.resize(head, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        for kind in (_jpegs, _pngs, _webps, _bmps):
            made.extend(kind(bgr))
    return tuple(made)


def png_chunk(name: bytes, body: bytes) -> bytes:
    """A PNG chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _jpegs(bgr: Array) -> Iterator[bytes]:
    quality = [cv2.IMWRITE_JPEG_QUALITY, 80]
    for options in (
        [],
        [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
        [cv2.IMWRITE_JPEG_RST_INTERVAL, 4],
        [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
        [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444],
    ):
        yield _encode(".jpg", bgr, [*quality, *options])
    yield _encode(".jpg", cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), quality)
    plain = _encode(".jpg", bgr, quality)
    payload = b"Exif\x00\x00" + _EXIF
    yield plain[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + plain[2:]


def _pngs(bgr: Array) -> Iterator[bytes]:
    rgb = np.ascontiguousarray(bgr[:, :, ::-1])
    gray: NDArray[np.uint8] = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)[:, :, None].astype(np.uint8)
    alpha = np.full_like(gray, 255)
    alpha[: _SIDE // 8] = 100
    exif, text = (b"eXIf", _EXIF), (b"tEXt", b"Comment\x00a photo")
    packed = (b"zTXt", b"Comment\x00\x00" + zlib.compress(bytes(2000)))
    profile = (b"iCCP", b"p\x00\x00" + zlib.compress(bytes(200)))
    clear = (b"tRNS", bytes([0, 128]))
    for interlaced in (False, True):
        for depth in (1, 2, 4, 8):
            yield _png(gray >> (8 - depth), 0, depth, interlaced, [text])
            levels = np.linspace(0, 255, 1 << depth).astype(np.uint8)
            palette = (b"PLTE", np.repeat(levels, 3).tobytes())
            yield _png(gray >> (8 - depth), 3, depth, interlaced, [palette, clear])
        yield _png(gray.astype(np.uint16) * 257, 0, 16, interlaced, [exif])
        yield _png(np.dstack([gray, alpha]), 4, 8, interlaced, [exif])
        yield _png(np.dstack([gray, alpha]).astype(np.uint16) * 257, 4, 16, interlaced, [packed])
        yield _png(rgb, 2, 8, interlaced, [profile, exif])
        yield _png(rgb, 2, 8, interlaced, [(b"tRNS", bytes(6))])
        yield _png(
            rgb.astype(np.uint16) * 257, 2, 16, interlaced, [(b"gAMA", bytes([0, 0, 177, 143]))]
        )
        yield _png(np.dstack([rgb, alpha]), 6, 8, interlaced, [exif, text])
        yield _png(np.dstack([rgb, alpha]).astype(np.uint16) * 257, 6, 16, interlaced, [])
    frame = struct.pack(">IIIIIHHBB", 0, _SIDE, _SIDE, 0, 0, 1, 10, 0, 0)
    yield _png(rgb, 2, 8, False, [(b"acTL", struct.pack(">II", 1, 0)), (b"fcTL", frame)])


def _webps(bgr: Array) -> Iterator[bytes]:
    bgra = np.dstack([bgr, np.full((_SIDE, _SIDE), 255, np.uint8)])
    bgra[: _SIDE // 8, :, 3] = 90
    for pixels in (bgr, bgra):
        for quality in (75, 101):  # over 100 means lossless
            yield _encode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, quality])
    exif = b"EXIF" + struct.pack("<I", len(_EXIF)) + _EXIF
    size = (_SIDE - 1).to_bytes(3, "little") * 2
    for flags in (0x08, 0x0A):  # EXIF, and the same with the bit of an animation
        extended = b"VP8X" + struct.pack("<II", 10, flags) + size
        body = (
            b"WEBP" + extended + _encode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, 75])[12:] + exif
        )
        yield b"RIFF" + struct.pack("<I", len(body)) + body


def _bmps(bgr: Array) -> Iterator[bytes]:
    yield _encode(".bmp", bgr, [])
    yield _encode(".bmp", cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), [])
    yield _encode(".bmp", np.dstack([bgr, bgr[:, :, :1]]), [])
    palette = bytes(value for i in range(256) for value in (i, i, i, 0))
    gray = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)[::-1]
    rows = (np.stack([np.ones_like(row), row], axis=1).tobytes() for row in gray)
    runs = b"\x00\x00".join(rows) + b"\x00\x01"
    header = struct.pack("<IiiHHIIiiII", 40, _SIDE, _SIDE, 1, 8, 1, len(runs), 0, 0, 256, 0)
    start = 14 + len(header) + len(palette)
    yield struct.pack("<2sIII", b"BM", start + len(runs), 0, start) + header + palette + runs


def _encode(suffix: str, pixels: Array, options: list[int]) -> bytes:
    done, data = cv2.imencode(suffix, pixels, options)
    if not done:
        raise ValueError(f"OpenCV can't write {suffix}")
    return data.tobytes()


def _png(
    samples: Array, colour: int, depth: int, interlaced: bool, extra: list[tuple[bytes, bytes]]
) -> bytes:
    """A PNG file of samples of shape (h, w, channels), each less than 2 ** `depth`."""
    height, width = samples.shape[:2]
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    rows = b"".join(_rows(samples[y::dy, x::dx], depth) for x, y, dx, dy in passes)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(png_chunk(name, body) for name, body in chunks)


def _rows(samples: Array, depth: int) -> bytes:
    """Rows without a filter, each with the byte that says so."""
    if depth < 8:
        bits = (
            samples >> np.arange(depth - 1, -1, -1)
        ) & 1  # one channel, so the last axis is free
        packed = np.packbits(bits.reshape(len(samples), -1).astype(np.uint8), axis=1)
    else:
        packed = np.ascontiguousarray(samples.astype(f">u{depth // 8}")).view(np.uint8)
        packed = packed.reshape(len(samples), -1)
    return np.pad(packed, ((0, 0), (1, 0))).tobytes()
