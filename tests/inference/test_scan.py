import cv2
import numpy as np
import pytest

from app.inference import scan
from app.inference.bundle import Bundle
from app.inference.pyramid import Level
from app.inference.scan import Scanner
from tests import pictures


@pytest.fixture(scope="module")
def network(bundle: Bundle) -> bytes:
    return bundle.networks["pnet.tflite"]


@pytest.mark.parametrize(
    "size", [(432, 576), (333, 577), (211, 400), (212, 400), (401, 999), (13, 1500), (12, 12)]
)
@pytest.mark.parametrize(("rows", "area"), [(12, 1), (12, 5_000), (64, 1), (64, 15_000)])
def test_scanning_in_bands_changes_nothing(
    network: bytes, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], rows: int, area: int
) -> None:
    scanner = Scanner(network, 0.6)
    pixels = np.random.default_rng(1).integers(0, 255, (*size, 3)).astype(np.uint8)
    monkeypatch.setattr(scan, "_BAND_PIXELS", 10**9)
    whole = scanner.scan(pixels)
    monkeypatch.setattr(scan, "_BAND_PIXELS", area)
    monkeypatch.setattr(scan, "_BAND_ROWS", rows)
    for part, expected in zip(scanner.scan(pixels), whole, strict=True):
        assert part == pytest.approx(expected, abs=1e-5)


def test_bands_of_an_even_level_share_one_shape() -> None:
    shapes = [band.shape for band, _ in scan._bands(np.zeros((432, 576, 3), np.uint8))]
    assert len(shapes) > 1
    assert len(set(shapes)) == 1


def test_places_are_squares_of_the_window_in_photo_pixels(network: bytes) -> None:
    photo = pictures.read(pictures.ASTRONAUT)
    scale = np.array([0.25, 0.2], np.float32)
    small = cv2.resize(photo, (128, 102), interpolation=cv2.INTER_AREA).astype(np.uint8)
    found = Scanner(network, 0.6)(Level(small, scale))
    assert len(found) > 0
    assert (found[:, 4] > 0.6).all()
    assert found[:, 2] - found[:, 0] == pytest.approx(12 / 0.25)
    assert found[:, 3] - found[:, 1] == pytest.approx(12 / 0.2)
    centre = (found[:, :2] + found[:, 2:4])[found[:, 4].argmax()] / 2
    assert centre == pytest.approx([224, 110], abs=40)  # the astronaut's face
