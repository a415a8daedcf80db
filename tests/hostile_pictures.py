"""Image files that are made to break a service: small, and costly or confusing to read."""

import struct
import zlib
from itertools import starmap

import numpy as np

from tests.pictures import ASTRONAUT, PNG_SIGNATURE, blank, encode, exif, png_chunk, read

MIB = 1 << 20
Chunks = list[tuple[bytes, bytes]]

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
SCRIPT = b"<script>alert(document.cookie)</script>"
ZIP = b"PK\x03\x04" + bytes(26) + b"PK\x05\x06" + bytes(18)
_BMP_HEADER = "<2sIIIIiiHHIIiiII"
_ANIMATED, _WITH_EXIF = 2, 8
_FRAME = struct.pack(">IIIIIHHBB", 0, 64, 64, 0, 0, 1, 10, 0, 0)


def portrait(suffix: str = ".jpg") -> bytes:
    """A good photo, so that nothing but what is done to it can be a reason to refuse it."""
    return ASTRONAUT.read_bytes() if suffix == ".jpg" else encode(read(ASTRONAUT), suffix)


def deflated_zeros(size: int) -> bytes:
    """A whole zlib stream that inflates to zeros; `size` is rounded up to MiB.

    One compressed MiB is repeated, so that a thousand of them cost no time.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    count = -(-size // MIB)
    checksum = (count * MIB % 65521) << 16 | 1  # Adler-32 of that many zeros
    return b"\x78\xda" + block * count + b"\x03\x00" + struct.pack(">I", checksum)


def png_of_zeros(width: int, height: int, *, depth: int = 8, colour: int = 0) -> bytes:
    """A valid PNG file of black (and clear) pixels."""
    channels = {0: 1, 2: 3, 6: 4}[colour]
    rows = deflated_zeros((1 + width * channels * depth // 8) * height)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return PNG_SIGNATURE + b"".join(starmap(png_chunk, chunks))


def png_with(chunks: Chunks, *, last: bool = False) -> bytes:
    """The portrait as a PNG file with further chunks before its pixels, or after them."""
    png = portrait(".png")
    at = png.index(b"IEND" if last else b"IDAT") - 4
    return png[:at] + b"".join(starmap(png_chunk, chunks)) + png[at:]


def animated_png() -> bytes:
    """A PNG animation of many frames."""
    frames = [(b"acTL", struct.pack(">II", 5000, 0)), (b"fcTL", _FRAME)]
    return png_with(frames)


def webp(width: int, height: int, flags: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP file that states this size, with the portrait's pixels and further chunks."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    parts = [(b"VP8X", struct.pack("<I", flags) + size), *chunks]
    pixels = portrait(".webp")[12:]
    body = b"WEBP" + b"".join(n + struct.pack("<I", len(b)) + b for n, b in parts) + pixels
    return b"RIFF" + struct.pack("<I", len(body)) + body


def animated_webp() -> bytes:
    """A WebP animation."""
    pixels = encode(blank(64, 64), ".webp")[12:]
    frame = bytes(6) + (63).to_bytes(3, "little") * 2 + bytes(4) + pixels
    return webp(64, 64, _ANIMATED, (b"ANIM", bytes(6)), *[(b"ANMF", frame)] * 500)


def webp_with_exif(block: bytes) -> bytes:
    """The portrait as a WebP file with this EXIF block (of even length)."""
    return webp(512, 512, _WITH_EXIF, (b"EXIF", block))


def bmp(width: int, height: int, pixels: bytes = b"", *, colours: int = 0) -> bytes:
    """A BMP file that states any size, of 8 bits if it has colours, else of 24."""
    bits = 8 if colours else 24
    numbers = (54 + len(pixels), 0, 54, 40, width, height, 1, bits, 0, 0, 0, 0, colours, 0)
    return struct.pack(_BMP_HEADER, b"BM", *numbers) + pixels


def jpeg_with(*segments: tuple[int, bytes]) -> bytes:
    """The portrait with further JPEG segments, each a marker and a content."""
    jpeg = portrait()
    made = (b"\xff" + bytes([m]) + struct.pack(">H", len(body) + 2) + body for m, body in segments)
    return jpeg[:2] + b"".join(made) + jpeg[2:]


def scans(count: int) -> bytes:
    """A JPEG file with that many scans, each a pass over all pixels."""
    scan = b"\xff\xda" + bytes.fromhex("000c0301000211031100003f")
    jpeg = portrait()
    return jpeg[: jpeg.index(b"\xff\xda")] + scan * count + b"\xff\xd9"


def broken_exif() -> dict[str, bytes]:
    """EXIF blocks of which a careless reader would loop, overrun or crash."""
    start = b"II*\x00\x08\x00\x00\x00"
    entry = struct.Struct("<HHII")
    loop = struct.pack("<H", 1) + entry.pack(0x8769, 4, 1, 8) + struct.pack("<I", 8)
    counts = entry.pack(0x010E, 2, 2**32 - 1, 8) + entry.pack(0x011A, 5, 2**31 - 1, 2**32 - 16)
    return {
        "directories in a loop": start + loop,
        "an offset out of range": b"II*\x00\xff\xff\xff\x7f",
        "a negative offset": b"MM\x00*\xff\xff\xff\xff",
        "65,535 entries": start + b"\xff\xff" + entry.pack(0x0112, 3, 1, 99) * 5000,
        "65,535 entries that are not there": start + b"\xff\xff",
        "orientation 99": exif(99),
        "huge counts": start + b"\x02\x00" + counts + bytes(4),
        "nothing but its first bytes": b"II",
        "noise": np.random.default_rng(3).bytes(60_000),
    }
