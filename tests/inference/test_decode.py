import contextlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from app.domain.errors import (
    FacetwinError,
    ImageTooLargeError,
    InvalidImageError,
    UnsupportedMediaTypeError,
)
from app.inference.decode import WORKING_SIDE, DecodeLimits, decode
from tests import pictures

LIMITS = DecodeLimits()


def quadrants(width: int = 60, height: int = 40) -> NDArray[Any]:
    """Four colours, so that every turn and mirror image looks different."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = (250, 10, 10)
    pixels[: height // 2, width // 2 :] = (10, 250, 10)
    pixels[height // 2 :, : width // 2] = (10, 10, 250)
    pixels[height // 2 :, width // 2 :] = (250, 250, 10)
    return pixels


def difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp"])
def test_formats_decode_to_rgb(suffix: str) -> None:
    photo = decode(pictures.encode(quadrants(), suffix), LIMITS)
    assert photo.pixels.shape == (40, 60, 3)
    assert photo.pixels.dtype == np.uint8
    assert (photo.width, photo.height, photo.scale) == (60, 40, 1.0)
    assert difference(photo.pixels, quadrants()) < 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_becomes_upright(orientation: int) -> None:
    stored = pictures.encode(pictures.turned(quadrants(), orientation))
    photo = decode(pictures.with_exif(stored, orientation), LIMITS)
    assert (photo.width, photo.height) == (60, 40)
    assert difference(photo.pixels, quadrants()) < 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_is_honoured_where_there_is_alpha(orientation: int) -> None:
    turned = pictures.turned(quadrants(), orientation)
    opaque = np.dstack([turned[:, :, ::-1], np.full(turned.shape[:2], 255, np.uint8)])
    block = np.frombuffer(pictures.exif(orientation), np.uint8)
    done, data = cv2.imencodeWithMetadata(
        ".png", np.ascontiguousarray(opaque), [cv2.IMAGE_METADATA_EXIF], [block]
    )
    assert done
    assert difference(decode(data.tobytes(), LIMITS).pixels, quadrants()) == 0


def test_transparent_pixels_are_white() -> None:
    pixels = np.dstack([quadrants(), np.full((40, 60), 255, np.uint8)])
    pixels[:20, :30, 3] = 0
    pixels[20:, :30, 3] = 128
    photo = decode(pictures.encode(pixels, ".png"), LIMITS)
    assert photo.pixels[5, 5].tolist() == [255, 255, 255]
    assert photo.pixels[5, 45].tolist() == [10, 250, 10]
    assert photo.pixels[30, 5] == pytest.approx([132, 132, 252], abs=2)


def test_gray_images_have_three_equal_channels() -> None:
    gray = quadrants()[:, :, 0]
    for suffix in (".jpg", ".png"):
        pixels = decode(pictures.encode(gray, suffix), LIMITS).pixels
        assert pixels.shape == (40, 60, 3)
        assert (pixels[:, :, 0] == pixels[:, :, 2]).all()


@pytest.mark.parametrize("alpha", [False, True])
def test_16_bit_images_are_scaled_to_8_bits(alpha: bool) -> None:
    pixels = quadrants()
    if alpha:
        pixels = np.dstack([pixels, np.full((40, 60), 255, np.uint8)])
    wide = pixels.astype(np.uint16) * 257
    assert difference(decode(pictures.encode(wide, ".png"), LIMITS).pixels, quadrants()) <= 1


def test_cmyk_and_progressive_jpeg() -> None:
    plain = cv2.resize(pictures.read(pictures.ASTRONAUT), (96, 96), interpolation=cv2.INTER_AREA)
    for name in ("cmyk.jpg", "progressive.jpg"):
        photo = decode((pictures.FIXTURES / name).read_bytes(), LIMITS)
        assert difference(photo.pixels, plain) < 10


def test_a_large_photo_is_reduced_and_keeps_its_own_size() -> None:
    large = cv2.resize(quadrants(), (4032, 3024), interpolation=cv2.INTER_NEAREST)
    for suffix in (".jpg", ".png"):
        photo = decode(pictures.encode(large.astype(np.uint8), suffix), LIMITS)
        assert photo.pixels.shape == (WORKING_SIDE * 3 // 4, WORKING_SIDE, 3)
        assert (photo.width, photo.height) == (4032, 3024)
        assert photo.scale == pytest.approx(4032 / WORKING_SIDE)


def test_a_reduced_photo_with_exif_swaps_its_sides() -> None:
    large = cv2.resize(quadrants(), (4032, 3024), interpolation=cv2.INTER_NEAREST)
    photo = decode(pictures.with_exif(pictures.encode(large.astype(np.uint8)), 6), LIMITS)
    assert (photo.width, photo.height) == (3024, 4032)
    assert photo.pixels.shape[0] > photo.pixels.shape[1]


def refuse_to_decode(*_: object) -> None:
    raise AssertionError("decoded before the limits were held")


def test_limits_hold_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", refuse_to_decode)
    with pytest.raises(ImageTooLargeError) as caught:
        decode(pictures.png_claiming(30_000, 30_000), LIMITS)
    assert caught.value.extra["max_pixels"] == LIMITS.max_pixels
    with pytest.raises(ImageTooLargeError) as caught:
        decode(bytes(101), DecodeLimits(max_bytes=100))
    assert caught.value.extra["bytes"] == 101


JPEG = pictures.encode(quadrants())
PNG = pictures.encode(quadrants(), ".png")
WEBP = pictures.encode(quadrants(), ".webp")


def test_palette_and_colour_transparency_is_white() -> None:
    """A PNG whose only colour is declared transparent by a tRNS chunk."""
    for colour, palette, clear in (
        (3, b"\x00\x00\x00", b"\x00"),
        (2, b"", b"\x00" * 6),
    ):
        photo = decode(pictures.transparent_png(colour, palette, clear), LIMITS)
        assert photo.pixels.min() == 255, colour


def test_a_jpeg_with_countless_scans_is_refused_before_decoding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = (pictures.FIXTURES / "progressive.jpg").read_bytes()
    last = file.rindex(b"\xff\xda")
    scan = file[last:-2]
    assert decode(file[:-2] + scan * 5 + b"\xff\xd9", LIMITS).width == 96
    monkeypatch.setattr(cv2, "imdecode", refuse_to_decode)
    with pytest.raises(InvalidImageError, match="scans"):
        decode(file[:-2] + scan * 600 + b"\xff\xd9", LIMITS)


def test_what_follows_the_end_of_a_jpeg_is_not_counted() -> None:
    """Phones append depth maps and videos."""
    appended = pictures.encode(quadrants()) + b"\xff\xda\x00\x02" * 500
    assert decode(appended, LIMITS).width == 60


@pytest.mark.parametrize("suffix", [".png", ".webp"])
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (40, 2)])
def test_tiny_images_with_alpha_decode(suffix: str, size: tuple[int, int]) -> None:
    pixels = np.full((*size, 4), 255, np.uint8)
    photo = decode(pictures.encode(pixels, suffix), LIMITS)
    assert photo.pixels.shape == (*size, 3)
    assert photo.pixels.min() == 255


def test_a_large_image_with_alpha_is_laid_over_white_in_stripes() -> None:
    noise = np.random.default_rng(5).integers(0, 256, (1500, 1501, 4), np.uint8)
    for pixels in (noise, noise.astype(np.uint16) * 257):
        photo = decode(pictures.encode(pixels, ".png"), LIMITS)
        alpha = noise[:, :, 3:].astype(int)
        expected = (noise[:, :, :3] * alpha + 255 * (255 - alpha)) // 255
        assert (photo.pixels == expected).all()


def test_a_deep_image_with_alpha_has_half_the_limit() -> None:
    limits = DecodeLimits(max_pixels=100)
    deep = np.full((10, 6, 4), 65535, np.uint16)
    assert decode(pictures.encode(deep[:5], ".png"), limits).width == 6
    assert decode(pictures.encode(deep[:, :, :3], ".png"), limits).width == 6
    with pytest.raises(ImageTooLargeError) as caught:
        decode(pictures.encode(deep, ".png"), limits)
    assert caught.value.extra["max_pixels"] == 50


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", InvalidImageError),
        (b"hello, this is a text file", UnsupportedMediaTypeError),
        (b"GIF89a" + bytes(50), UnsupportedMediaTypeError),
        (b"%PDF-1.7" + bytes(50), UnsupportedMediaTypeError),
        (b"\xff\xd8\xff", InvalidImageError),
        (b"\xff\xd8\xff\xe0\x00\x00", InvalidImageError),
        (b"\xff\xd8\xff\xd9" + bytes(20), InvalidImageError),
        (JPEG[:12], InvalidImageError),
        (PNG[:20], InvalidImageError),
        (PNG[:60], InvalidImageError),
        (WEBP[:20], InvalidImageError),
        (b"RIFF\x00\x00\x00\x00WEBPJUNK" + bytes(20), InvalidImageError),
        (b"BM", InvalidImageError),
        (b"BM" + bytes(60), InvalidImageError),
        (pictures.png_claiming(0, 10), InvalidImageError),
        (pictures.png_claiming(300, 300), InvalidImageError),
    ],
)
def test_bad_files_get_their_error(data: bytes, error: type[FacetwinError]) -> None:
    with pytest.raises(error):
        decode(data, LIMITS)


def file_type(main: bytes, *compatible: bytes) -> bytes:
    """The beginning of a HEIC, an AVIF or an MP4."""
    content = b"ftyp" + main + bytes(4) + b"".join(compatible)
    return (4 + len(content)).to_bytes(4) + content + b"\x00\x00\x01\x00meta" + bytes(99)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (file_type(b"heic", b"mif1", b"heic"), "a HEIC photo"),
        (file_type(b"heix"), "a HEIC photo"),
        (file_type(b"hevc", b"msf1", b"hevc"), "a HEIC photo"),
        (file_type(b"mif1", b"MiHB", b"heic"), "a HEIC photo"),
        (file_type(b"msf1"), "a HEIC photo"),
        (file_type(b"heic")[:12], "a HEIC photo"),
        (file_type(b"avif", b"mif1", b"miaf"), "an AVIF photo"),
        (file_type(b"mif1", b"avif", b"miaf"), "an AVIF photo"),
    ],
)
def test_what_phones_save_is_named(data: bytes, said: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError, match=f"^This is {said}.*convert it to JPEG"):
        decode(data, LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        file_type(b"isom", b"iso2", b"avc1", b"mp41"),
        file_type(b"qt  "),
        # Not in the list of brands, but behind it.
        file_type(b"isom", b"iso2") + b"heic",
        b"\xff\xff\xff\xffftypisom" + bytes(300) + b"heic",
        b"\x00\x00\x00\x00ftyp",
        JPEG[:2] + file_type(b"heic"),
    ],
)
def test_other_files_are_not_taken_for_what_phones_save(data: bytes) -> None:
    with pytest.raises(UnsupportedMediaTypeError, match="is not a JPEG, PNG, WebP or BMP"):
        decode(data, LIMITS)


@pytest.mark.parametrize("file", [JPEG, PNG, WEBP], ids=["jpeg", "png", "webp"])
def test_a_file_cut_anywhere_decodes_or_is_refused(file: bytes) -> None:
    for end in range(0, len(file), 7):
        survives(lambda part: decode(part, LIMITS), file[:end])


@pytest.mark.parametrize("file", [JPEG, PNG, WEBP], ids=["jpeg", "png", "webp"])
def test_flipped_bytes_decode_or_are_refused(file: bytes) -> None:
    generator = np.random.default_rng(7)
    for _ in range(300):
        damaged = bytearray(file)
        for position in generator.integers(0, len(file), size=4):
            damaged[position] = int(generator.integers(256))
        survives(lambda part: decode(part, DecodeLimits(max_pixels=10_000)), bytes(damaged))


def survives(function: Callable[[bytes], object], data: bytes) -> None:
    with contextlib.suppress(FacetwinError):
        function(data)
