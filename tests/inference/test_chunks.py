from itertools import starmap

import numpy as np
import pytest

from app.domain.errors import ImageTooLargeError, InvalidImageError, UnsupportedMediaTypeError
from app.inference.chunks import (
    MAX_CHUNKS,
    MAX_METADATA_BYTES,
    content,
    png_chunks,
    png_for_decoder,
    webp_chunks,
)
from app.inference.decode import DecodeLimits, decode
from tests import hostile_pictures, pictures

LIMITS = DecodeLimits()
PNG = pictures.encode(np.zeros((40, 60, 3), np.uint8), ".png")


def with_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    at = PNG.index(b"IDAT") - 4
    return PNG[:at] + b"".join(starmap(pictures.png_chunk, chunks)) + PNG[at:]


def test_a_png_decoder_gets_only_what_makes_the_pixels() -> None:
    exif = (b"eXIf", pictures.exif(6))
    busy = with_chunks((b"tEXt", b"a\0b"), exif, (b"gAMA", bytes(4))) + b"appended"
    assert png_for_decoder(PNG) is PNG
    assert png_for_decoder(busy) == with_chunks(exif)
    assert decode(busy, LIMITS).width == 40


def test_metadata_is_bounded() -> None:
    half = (b"tEXt", bytes(MAX_METADATA_BYTES // 2))
    assert decode(with_chunks(half, half), LIMITS).width == 60
    with pytest.raises(ImageTooLargeError, match="metadata") as caught:
        decode(with_chunks(half, half, (b"zTXt", b"x")), LIMITS)
    assert caught.value.extra["metadata_bytes"] == MAX_METADATA_BYTES + 1


def test_chunks_are_counted() -> None:
    most = MAX_CHUNKS - len(png_chunks(PNG))
    assert len(png_chunks(with_chunks(*[(b"abCd", b"")] * most))) == MAX_CHUNKS
    with pytest.raises(InvalidImageError, match="chunks"):
        png_chunks(with_chunks(*[(b"abCd", b"")] * (most + 1)))


def test_what_follows_the_end_of_a_png_is_no_part_of_it() -> None:
    assert png_chunks(PNG + PNG) == png_chunks(PNG)
    with pytest.raises(InvalidImageError, match="cut off"):
        png_chunks(PNG[:-1])


def test_the_exif_of_a_webp_is_found() -> None:
    file = hostile_pictures.webp_with_exif(pictures.exif(6))
    assert content(file, webp_chunks(file), b"EXIF") == pictures.exif(6)


@pytest.mark.parametrize("flag_alone", [False, True])
def test_animations_are_refused(flag_alone: bool) -> None:
    webp = hostile_pictures.webp(512, 512, 2) if flag_alone else hostile_pictures.animated_webp()
    for file in (webp, hostile_pictures.animated_png()):
        with pytest.raises(UnsupportedMediaTypeError, match="animated"):
            decode(file, LIMITS)
