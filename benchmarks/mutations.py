"""Damage to image files: in their structure (segments and chunks) and byte by byte.

A damaged file follows from its seeds and a random generator alone, so that any can be made again.
"""

import re
import struct
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from benchmarks.fuzz_seeds import PNG_SIGNATURE, png_chunk

Parts = list[bytes]
Mutation = Callable[[Parts, Random], None]

_MARKER: Final = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_END_OF_JPEG: Final = 0xD9
_NUMBERS: Final = (0, 1, 2, 8, 9, 99, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1)
_FORMATS: Final = ("<B", "<H", ">H", "<I", ">I")
_HEAD: Final = 64
"""Most of what a decoder trusts lies in the first bytes of a part."""
_MAX_BYTES: Final = 400_000


def mutate(seeds: Sequence[bytes], random: Random) -> bytes:
    """One damaged file of at most `_MAX_BYTES` bytes."""
    data = random.choice(seeds)
    parts = split(data)
    if random.random() < 0.2:
        _splice(parts, split(random.choice(seeds)), random)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        random.choice(_MUTATIONS)(parts, random)
    repaired = _repaired(parts) if random.random() < 0.8 else b"".join(parts)
    if random.random() < 0.1:
        repaired = _anywhere(repaired, random)
    return repaired[:_MAX_BYTES]


def split(data: bytes) -> Parts:
    """A file as its parts; joined they are the file."""
    if data.startswith(b"\xff\xd8"):
        return _split_jpeg(data)
    if data.startswith(PNG_SIGNATURE):
        return _split_chunks(data, len(PNG_SIGNATURE), ">I", 0, 12)
    if data.startswith(b"RIFF"):
        return _split_chunks(data, 12, "<I", 4, 8)
    return [data[:14], data[14:54], data[54:]]


def _split_jpeg(data: bytes) -> Parts:
    parts = [data[:2]]
    position = 2
    while (found := _MARKER.search(data, position)) and found[0][1] != _END_OF_JPEG:
        parts[-1] += data[position : found.start()]  # the pixels go with the scan before them
        position = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
        parts.append(data[found.start() : position])
    parts[-1] += data[position : found.start() if found else len(data)]
    return [*parts, data[found.start() :]] if found else parts


def _split_chunks(data: bytes, head: int, number: str, offset: int, overhead: int) -> Parts:
    parts = [data[:head]]
    position = head
    while position + overhead <= len(data):
        (size,) = struct.unpack_from(number, data, position + offset)
        stop = position + overhead + size + (size % 2 if overhead == 8 else 0)
        parts.append(data[position:stop])
        position = stop
    return [*parts, data[position:]] if position < len(data) else parts


def _repaired(parts: Parts) -> bytes:
    """The file with right checksums and lengths, so that a decoder looks at what is inside."""
    if parts[0] == PNG_SIGNATURE:
        chunks = [
            png_chunk(part[4:8], part[8:-4]) if len(part) >= 12 else part for part in parts[1:]
        ]
        return b"".join([parts[0], *chunks])
    data = b"".join(parts)
    if data.startswith(b"RIFF") and len(data) >= 8:
        return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    return data


def _sealed(part: bytes) -> bytes:
    return png_chunk(part[4:8], part[8:-4]) if len(part) >= 12 else part


def _splice(parts: Parts, others: Parts, random: Random) -> None:
    """The begin of one file and the end of another, or a part of it in between."""
    at, other = random.randrange(len(parts)), random.randrange(len(others))
    if random.random() < 0.5:
        parts[at + 1 :] = others[other:]
    else:
        parts.insert(at + 1, others[other])


def _duplicate(parts: Parts, random: Random) -> None:
    part = parts[_any(parts, random)]
    times = random.choice((1, 2, 40, 2000)) if len(part) < 100 else random.choice((1, 3))
    at = _any(parts, random)
    parts[at:at] = [part] * times


def _delete(parts: Parts, random: Random) -> None:
    if len(parts) > 1:
        del parts[_any(parts, random)]


def _swap(parts: Parts, random: Random) -> None:
    a, b = _any(parts, random), _any(parts, random)
    parts[a], parts[b] = parts[b], parts[a]


def _flip(parts: Parts, random: Random) -> None:
    at = _any(parts, random)
    damaged = bytearray(parts[at])
    for _ in range(random.choice((1, 1, 2, 8))):
        if damaged:
            damaged[_position(damaged, random)] ^= 1 << random.randrange(8)
    parts[at] = bytes(damaged)


def _number(parts: Parts, random: Random) -> None:
    """A number that lies at the edge of something, in any width and order."""
    at = _any(parts, random)
    form = random.choice(_FORMATS)
    width = struct.calcsize(form)
    if len(parts[at]) < width:
        return
    damaged = bytearray(parts[at])
    start = min(_position(damaged, random), len(damaged) - width)
    struct.pack_into(form, damaged, start, random.choice(_NUMBERS) % 256**width)
    parts[at] = bytes(damaged)


def _cut(parts: Parts, random: Random) -> None:
    at = _any(parts, random)
    if parts[at]:
        parts[at] = parts[at][: random.randrange(len(parts[at]))]


def _insert(parts: Parts, random: Random) -> None:
    at = _any(parts, random)
    start = _position(parts[at], random) if parts[at] else 0
    more = random.randbytes(random.randrange(1, 64)) * random.choice((1, 1, 50))
    parts[at] = parts[at][:start] + more + parts[at][start:]


def _inside_deflate(parts: Parts, random: Random) -> None:
    """Damage to the rows of a PNG before they are compressed: filters, palette entries, length."""
    for at, part in enumerate(parts):
        if part[4:8] == b"IDAT":
            try:
                rows = bytearray(zlib.decompressobj().decompress(part[8:-4], _MAX_BYTES))
            except zlib.error:
                return
            for _ in range(min(len(rows), random.choice((1, 20, 200)))):
                rows[random.randrange(len(rows))] = random.randrange(256)
            kept = rows[: random.randrange(len(rows) + 1)] if random.random() < 0.2 else rows
            parts[at] = png_chunk(b"IDAT", zlib.compress(bytes(kept), 1))
            return


def _anywhere(data: bytes, random: Random) -> bytes:
    """Damage that knows nothing of the format."""
    damaged = bytearray(data)
    for _ in range(random.choice((1, 4, 16))):
        if damaged:
            damaged[random.randrange(len(damaged))] = random.randrange(256)
    if random.random() < 0.2:
        del damaged[random.randrange(len(damaged) + 1) :]
    return bytes(damaged)


def _any(parts: Parts, random: Random) -> int:
    """Any part, but seldom the first: without its signature a file is refused unread."""
    if len(parts) > 1 and random.random() < 0.97:
        return random.randrange(1, len(parts))
    return 0


def _position(part: bytes | bytearray, random: Random) -> int:
    return random.randrange(min(len(part), _HEAD) if random.random() < 0.7 else len(part))


_MUTATIONS: Final[tuple[Mutation, ...]] = (
    _duplicate,
    _delete,
    _swap,
    _flip,
    _flip,
    _number,
    _number,
    _cut,
    _insert,
    _inside_deflate,
    _inside_deflate,
)
