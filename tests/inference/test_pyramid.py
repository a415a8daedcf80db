import cv2
import numpy as np
import pytest

from app.domain.entities import Floats, Pixels
from app.inference.pyramid import Level, crops, normalized, pyramid


def ramp(width: int, height: int) -> Pixels:
    """Red grows with x and green with y."""
    photo = np.zeros((height, width, 3), np.uint8)
    photo[..., 0] = np.linspace(0, 250, width).round()
    photo[..., 1] = np.linspace(0, 250, height).round()[:, None]
    return photo


def pixels_of(crop: Floats) -> Floats:
    return np.asarray(crop * 128 + 127.5, np.float32)


def test_levels_shrink_by_the_factor_until_the_smallest_side() -> None:
    levels = pyramid(ramp(640, 480), 0.3, 0.709, 12)
    assert [level.pixels.shape[:2] for level in levels[:3]] == [(144, 192), (102, 136), (72, 97)]
    assert min(levels[-1].pixels.shape[:2]) >= 12
    assert levels[2].scale.tolist() == pytest.approx([97 / 640, 72 / 480])


def test_a_photo_smaller_than_the_window_has_no_levels() -> None:
    assert pyramid(ramp(30, 30), 0.3, 0.709, 12) == []


def test_normalized_pixels_span_minus_one_to_one_exactly() -> None:
    values = np.array([0, 1, 127, 128, 255], np.uint8)
    expected = [(value - 127.5) / 128 for value in values.tolist()]
    assert normalized(values).dtype == np.float32
    assert normalized(values).tolist() == expected


@pytest.mark.parametrize("side", [24, 48])
def test_a_crop_shows_what_its_square_covers_whatever_the_level(side: int) -> None:
    photo = ramp(640, 480)
    levels = [Level.of(photo, photo), *pyramid(photo, 0.3, 0.709, 12)]
    squares = np.array([[20, 30, 60, 70, 1], [100, 50, 400, 350, 1], [300, 200, 350, 250, 1]])
    for crop, (x1, y1, x2, y2, _) in zip(
        crops(levels, squares.astype(np.float32), side), squares, strict=True
    ):
        columns = x1 + (np.arange(side) + 0.5) * (x2 - x1) / side - 0.5
        rows = y1 + (np.arange(side) + 0.5) * (y2 - y1) / side - 0.5
        shown = pixels_of(crop)
        assert np.abs(shown[side // 2, :, 0] - columns * 250 / 639).max() < 1.5
        assert np.abs(shown[:, side // 2, 1] - rows * 250 / 479).max() < 1.5


def test_a_crop_comes_from_the_level_that_fits_and_is_enlarged_only_if_all_else_is_far() -> None:
    photo = np.zeros((400, 400, 3), np.uint8)
    shades = (200, 150, 100)
    levels = [
        Level.of(np.full((side, side, 3), shade, np.uint8), photo)
        for side, shade in zip((400, 100, 50), shades, strict=True)
    ]
    # Squares that want 1/4, a little less, clearly more, and more than there is.
    sides = [96, 110, 60, 20]
    squares = np.array([[100, 100, 100 + s, 100 + s, 1] for s in sides], np.float32)
    middle = pixels_of(crops(levels, squares, 24))[:, 12, 12, 0]
    assert middle.tolist() == [150, 150, 200, 200]


def test_outside_the_photo_a_crop_is_gray() -> None:
    photo = np.full((100, 100, 3), 255, np.uint8)
    square = np.array([[-24, -24, 24, 24, 1]], np.float32)
    shown = pixels_of(crops([Level.of(photo, photo)], square, 48)[0])
    assert (shown[:23, :23] == 127).all()
    assert (shown[25:, 25:] == 255).all()


def test_crops_agree_with_a_warp_of_their_own() -> None:
    photo = np.random.default_rng(4).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    square = np.array([[10.25, 20.5, 58.25, 68.5, 1]], np.float32)
    shift = np.array([[1, 0, 10.25], [0, 1, 20.5]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    expected = cv2.warpAffine(photo, shift, (48, 48), flags=how)
    assert pixels_of(crops([Level.of(photo, photo)], square, 48)[0]).tolist() == expected.tolist()
