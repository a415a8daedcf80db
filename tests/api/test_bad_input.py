"""Bad input through the shipped bundle: it gets its problem code, and nothing changes."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests import hostile_pictures as hostile
from tests.api.real_service import service_with_anna, state_of
from tests.api.service import Service
from tests.api.test_errors import check_problem
from tests.hostile_pictures import MIB, bmp, deflated_zeros, jpeg_with, png_with, portrait, webp
from tests.pictures import FIXTURES, png_claiming

UNREADABLE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "an empty file": ("invalid_image", bytes),
    "a text": ("unsupported_media_type", lambda: b"This is not a photo."),
    "a GIF": ("unsupported_media_type", lambda: b"GIF89a\x01\x00\x01\x00" + bytes(40)),
    "a HEIC": (
        "unsupported_media_type",
        lambda: b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(40),
    ),
    "a GIF with a script": ("unsupported_media_type", lambda: b"GIF89a=1;" + hostile.SCRIPT),
    "an SVG": ("unsupported_media_type", lambda: hostile.SVG),
    "a PDF with a JPEG": ("unsupported_media_type", lambda: b"%PDF-1.7\n" + portrait()),
    "a ZIP with a JPEG": ("unsupported_media_type", lambda: hostile.ZIP + portrait()),
    "half a JPEG": ("invalid_image", lambda: portrait()[:30_000]),
    "half a PNG": ("invalid_image", lambda: portrait(".png")[:100_000]),
    "half a WebP": ("invalid_image", lambda: portrait(".webp")[:10_000]),
    "half a BMP": ("invalid_image", lambda: portrait(".bmp")[:100_000]),
    "a JPEG of 600 scans": ("invalid_image", lambda: hostile.scans(600)),
    "a JPEG of a million segments": ("invalid_image", lambda: jpeg_with(*[(0xFE, b"")] * 10**6)),
    "900 megapixels": ("image_too_large", lambda: hostile.png_of_zeros(30_000, 30_000)),
    "16 bits and transparency": (
        "image_too_large",
        lambda: hostile.png_of_zeros(7000, 7000, depth=16, colour=6),
    ),
    "a size without pixels": ("invalid_image", lambda: png_claiming(7000, 7000)),
    "a zTXt bomb": (
        "image_too_large",
        lambda: png_with([(b"zTXt", b"Comment\0\0" + deflated_zeros(600 * MIB))]),
    ),
    "an iTXt bomb at the end": (
        "image_too_large",
        lambda: png_with([(b"iTXt", b"a\0\1\0\0\0" + deflated_zeros(600 * MIB))], last=True),
    ),
    "a thousand zTXt bombs": (
        "image_too_large",
        lambda: png_with([(b"zTXt", b"Comment\0\0" + deflated_zeros(7 * MIB))] * 1000),
    ),
    "an iCCP bomb": (
        "image_too_large",
        lambda: png_with([(b"iCCP", b"p\0\0" + deflated_zeros(600 * MIB))]),
    ),
    "a long tEXt": ("image_too_large", lambda: png_with([(b"tEXt", b"a\0" + b"x" * 12 * MIB)])),
    "a long eXIf": ("image_too_large", lambda: png_with([(b"eXIf", b"II" + bytes(12 * MIB))])),
    "a million PNG chunks": ("invalid_image", lambda: png_with([(b"abCd", b"")] * 10**6)),
    "an animated PNG": ("unsupported_media_type", hostile.animated_png),
    "an animated WebP": ("unsupported_media_type", hostile.animated_webp),
    "a WebP without bounds": ("image_too_large", lambda: webp(1 << 24, 1 << 24, 0)),
    "a WebP of another size": ("invalid_image", lambda: webp(7000, 7000, 0)),
    "a WebP of much EXIF": ("image_too_large", lambda: hostile.webp_with_exif(bytes(12 * MIB))),
    "a WebP of a million chunks": (
        "invalid_image",
        lambda: webp(9, 9, 0, *[(b"abcd", b"")] * 10**6),
    ),
    "a BMP without bounds": ("image_too_large", lambda: bmp(2**31 - 1, 2**31 - 1)),
    "a BMP of negative width": ("invalid_image", lambda: bmp(-512, 512)),
    "a BMP of the least height": ("image_too_large", lambda: bmp(10, -(2**31))),
    "a BMP without pixels": ("invalid_image", lambda: bmp(7000, 7000)),
    "a BMP of countless colours": (
        "invalid_image",
        lambda: bmp(64, 64, bytes(99), colours=2**31 - 1),
    ),
}

READABLE: dict[str, Callable[[], bytes]] = {
    "a script behind a JPEG": lambda: portrait() + hostile.SCRIPT,
    "a ZIP behind a JPEG": lambda: portrait() + hostile.ZIP,
    "a ZIP behind a PNG": lambda: portrait(".png") + hostile.ZIP,
    "a PDF within a JPEG": lambda: jpeg_with((0xFE, b"%PDF-1.7 " + hostile.SCRIPT)),
    "a small bomb, never inflated": lambda: png_with(
        [(b"zTXt", b"Comment\0\0" + deflated_zeros(7 * MIB))] * 60
    ),
}


def _jpeg_with_exif(block: bytes) -> bytes:
    return jpeg_with((0xE1, b"Exif\0\0" + block))


def _png_with_exif(block: bytes) -> bytes:
    return png_with([(b"eXIf", block)])


for _name, _block in hostile.broken_exif().items():
    READABLE[f"JPEG EXIF: {_name}"] = partial(_jpeg_with_exif, _block)
    READABLE[f"PNG EXIF: {_name}"] = partial(_png_with_exif, _block)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_with_anna(tmp_path_factory.mktemp("application_data")) as service:
        yield service


@pytest.fixture
def unchanged(real: Service) -> Iterator[Service]:
    before = state_of(real)
    yield real
    assert state_of(real) == before
    assert before[0]["images"]


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_bad_photo_gets_its_problem(unchanged: Service, name: str) -> None:
    code, make = UNREADABLE[name]
    data = make()

    for answer in (
        unchanged.verify(data, subject="anna"),
        unchanged.detect(data),
        unchanged.compare(portrait(), data),
    ):
        check_problem(answer, code)
    rejected = check_problem(unchanged.enroll(data, subject="anna"), "enrollment_rejected")
    assert rejected["rejected"][0]["reasons"][0]["code"] == "INVALID_IMAGE"
    files = [("files", ("x.jpg", data))]
    for role in ("anchor", "negative"):
        answer = unchanged.request("POST", f"/data/{role}", files=files)
        rejected = check_problem(answer, "enrollment_rejected")
        assert rejected["rejected"][0]["reasons"][0]["code"] == "INVALID_IMAGE"


@pytest.mark.parametrize("name", READABLE)
def test_a_good_photo_with_something_odd_is_read(unchanged: Service, name: str) -> None:
    answer = unchanged.verify(READABLE[name](), subject="anna").json()

    assert answer["decision"] == "match", answer


def test_a_progressive_photo_is_read(unchanged: Service) -> None:
    answer = unchanged.detect((FIXTURES / "progressive.jpg").read_bytes())

    assert answer.status_code == 200


def test_what_hides_in_a_photo_is_not_stored(real: Service) -> None:
    photo = jpeg_with((0xFE, hostile.SCRIPT)) + hostile.ZIP + hostile.SCRIPT
    real.delete("/subjects/polyglot")
    before = state_of(real)
    answer = real.enroll(photo, subject="polyglot")
    after = state_of(real)
    root = real.state["runtime"].settings.images_dir
    stored = [path.read_bytes() for path in (root / "polyglot").iterdir()]

    assert answer.status_code == 201
    assert len(after[1]) == len(before[1]) + 1
    assert all(b"script" not in data and b"PK\x03\x04" not in data for data in stored)
    assert stored[0].startswith(b"\xff\xd8")


def test_what_hides_in_a_photo_is_not_stored_for_training(real: Service) -> None:
    photo = jpeg_with((0xFE, hostile.SCRIPT)) + hostile.ZIP + hostile.SCRIPT
    files = [("files", ("../../x.html", photo))]
    answer = real.request("POST", "/data/negative", files=files).json()
    root = real.state["runtime"].settings.data_dir
    stored = (root / answer["stored"][0]["file"]).read_bytes()

    assert stored.startswith(b"\xff\xd8")
    assert b"script" not in stored
    assert b"PK\x03\x04" not in stored
    assert real.delete("/data/negative").json()["deleted"] == 1
