"""The chunks of PNG and WebP files, walked before a decoder sees them.

A photo needs few of them. Texts and profiles can be inflated a thousandfold by whoever reads them,
so a PNG decoder gets only what makes the pixels, and the rest is bounded.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from app.domain.errors import (
    ImageTooLargeError,
    InvalidImageError,
    UnsupportedMediaTypeError,
)

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

MAX_CHUNKS: Final = 32_768
"""An encoder that writes 1,024 bytes a chunk stays below it with a file of the largest size."""

MAX_METADATA_BYTES: Final = 512 * 1024
"""Texts, profiles and EXIF of one PNG or WebP file together, as they lie in the file."""

_END: Final = b"IEND"
_PNG_METADATA: Final = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"sPLT"})
_WEBP_METADATA: Final = frozenset({b"ICCP", b"EXIF", b"XMP "})
_ANIMATION: Final = frozenset({b"acTL", b"fcTL", b"fdAT", b"ANIM", b"ANMF"})
_OF_PIXELS: Final = frozenset({b"tRNS", b"eXIf"})
"""Optional PNG chunks that change the decoded pixels: what is clear, and which way is up."""
_OPTIONAL: Final = 0x20
"""Set in the first letter of the name of a PNG chunk that a decoder may ignore."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A named part of a file.

    Attributes:
        name: Four bytes.
        start: Where the chunk begins, in bytes of the file.
        body: Where its content begins.
        size: Bytes of its content.
        stop: Where the next chunk begins.
    """

    name: bytes
    start: int
    body: int
    size: int
    stop: int


def png_chunks(data: bytes) -> list[Chunk]:
    """All chunks of a PNG file up to its end; what follows the end is no part of the image.

    Raises:
        InvalidImageError: If the file is cut off or has too many chunks.
        ImageTooLargeError: If it carries too much metadata.
        UnsupportedMediaTypeError: If it is animated.
    """
    chunks: list[Chunk] = []
    for chunk in _bounded(_walk_png(data)):
        chunks.append(chunk)
        if chunk.name == _END:
            _check(chunks, _PNG_METADATA)
            return chunks
    raise InvalidImageError("The PNG file is cut off: its end is missing.")


def png_for_decoder(data: bytes) -> bytes:
    """A PNG file without the chunks that make no pixels; the same bytes if it has none of them.

    Raises:
        As `png_chunks`.
    """
    chunks = png_chunks(data)
    kept = [c for c in chunks if not c.name[0] & _OPTIONAL or c.name in _OF_PIXELS]
    if len(kept) == len(chunks) and chunks[-1].stop == len(data):
        return data
    return PNG_SIGNATURE + b"".join(data[chunk.start : chunk.stop] for chunk in kept)


def webp_chunks(data: bytes) -> list[Chunk]:
    """All chunks of a WebP file, as far as it goes.

    Raises:
        As `png_chunks`, but for files that are cut off.
    """
    chunks = list(_bounded(_walk_webp(data)))
    _check(chunks, _WEBP_METADATA)
    return chunks


def content(data: bytes, chunks: Iterable[Chunk], name: bytes) -> bytes:
    """Content of the first chunk of this name; empty if there is none."""
    found = (data[chunk.body : chunk.body + chunk.size] for chunk in chunks if chunk.name == name)
    return next(found, b"")


def _walk_png(data: bytes) -> Iterator[Chunk]:
    position = len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        size, name = struct.unpack_from(">I4s", data, position)
        stop = position + 12 + size
        if stop > len(data):
            return
        yield Chunk(name, position, position + 8, size, stop)
        position = stop


def _walk_webp(data: bytes) -> Iterator[Chunk]:
    (size,) = struct.unpack_from("<I", data, 4)
    position, end = 12, min(len(data), 8 + size)
    while position + 8 <= end:
        name, size = struct.unpack_from("<4sI", data, position)
        stop = position + 8 + size + size % 2
        yield Chunk(name, position, position + 8, min(size, end - position - 8), stop)
        position = stop


def _bounded(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    for count, chunk in enumerate(chunks):
        if count >= MAX_CHUNKS:
            raise InvalidImageError(f"The image file has more than {MAX_CHUNKS} chunks.")
        yield chunk


def _check(chunks: Iterable[Chunk], metadata: frozenset[bytes]) -> None:
    if any(chunk.name in _ANIMATION for chunk in chunks):
        raise UnsupportedMediaTypeError("The image is animated. Send a still photo.")
    carried = sum(chunk.size for chunk in chunks if chunk.name in metadata)
    if carried > MAX_METADATA_BYTES:
        raise ImageTooLargeError(
            f"The image file carries {carried} bytes of texts, profiles and EXIF beside its "
            f"pixels; at most {MAX_METADATA_BYTES} are accepted. Save it without metadata.",
            metadata_bytes=carried,
            max_metadata_bytes=MAX_METADATA_BYTES,
        )
