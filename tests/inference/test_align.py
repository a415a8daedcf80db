import numpy as np
import pytest

from app.inference.align import AlignmentTemplate, align, central_crop, similarity

POINTS = np.array([[10, 10], [40, 12], [25, 30], [14, 45], [38, 46]], np.float32)


def test_a_similarity_is_recovered_exactly() -> None:
    angle, scale, shift = np.radians(33), 1.7, np.array([5.0, -8.0])
    rotation = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    target = (POINTS @ rotation.T + shift).astype(np.float32)
    expected = np.concatenate([rotation, shift[:, None]], axis=1)
    assert similarity(POINTS, target) == pytest.approx(expected, abs=1e-4)


def test_a_mirror_image_is_never_fitted() -> None:
    matrix = similarity(POINTS, POINTS * np.array([-1, 1], np.float32))
    assert np.linalg.det(matrix[:, :2]) >= 0


def test_equal_points_do_not_divide_by_zero() -> None:
    assert np.isfinite(similarity(np.ones((5, 2), np.float32), POINTS)).all()


def test_landmarks_land_on_the_template() -> None:
    pixels = np.zeros((200, 200, 3), np.uint8)
    landmarks = POINTS * 2 + 50
    for x, y in landmarks.astype(int):
        pixels[y - 2 : y + 3, x - 2 : x + 3] = 255
    template = AlignmentTemplate(60, POINTS)
    chip = align(pixels, landmarks + 0.5, template)
    assert chip.shape == (60, 60, 3)
    for x, y in POINTS.astype(int):
        assert chip[y, x, 0] > 200


def test_reducing_a_large_face_does_not_alias() -> None:
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::2] = 255
    chip = align(stripes, POINTS * 8, AlignmentTemplate(100, POINTS))
    inside = chip[10:90, 10:90]
    # Averaged stripes are even gray; sampled ones would beat.
    assert inside.std() < 6
    assert inside.mean() == pytest.approx(127.5, abs=3)


def test_shift_is_exact_at_every_reduction() -> None:
    ramp = np.tile(np.linspace(0, 255, 400), (400, 1))
    pixels = np.repeat(ramp[:, :, None], 3, axis=2).astype(np.uint8)
    whole = align(pixels, POINTS * 2 + 0.5, AlignmentTemplate(60, POINTS))
    finer = align(pixels, POINTS * 4 + 0.5, AlignmentTemplate(60, POINTS))
    # The chip's column x lies at 2x in the one and at 4x in the other photo.
    assert whole[30, 40, 0] == pytest.approx(ramp[0, 80], abs=1.5)
    assert finer[30, 40, 0] == pytest.approx(ramp[0, 160], abs=1.5)


def test_the_central_crop_is_the_middle_of_the_photo() -> None:
    pixels = np.zeros((250, 350, 3), np.uint8)
    pixels[:, :50], pixels[:, 300:] = 255, 255
    pixels[100:150, 150:200] = 200
    chip = central_crop(pixels, 100)
    assert chip.shape == (100, 100, 3)
    assert chip.dtype == np.uint8
    assert chip[50, 50, 0] == 200
    assert chip.max() == 200  # the borders are left out


def test_a_crop_of_the_tutorials_size_is_reduced_as_there() -> None:
    """`tf.image.resize`, bilinear, takes two of five pixels: here the mean of 2 and 3, 7 and 8."""
    ramp = np.tile(np.arange(250, dtype=np.uint8), (250, 1))
    chip = central_crop(np.repeat(ramp[:, :, None], 3, axis=2), 100)
    # Output pixel i lies at 2.5 i + 0.75 of the input.
    expected = 2.5 * np.arange(100) + 0.75
    assert np.abs(chip[50, :, 0] - expected).max() <= 0.51


def test_a_larger_crop_is_averaged_first() -> None:
    stripes = np.zeros((1000, 1200, 3), np.uint8)
    stripes[:, ::2] = 255
    assert central_crop(stripes, 100).std() < 1


def test_a_smaller_photo_is_enlarged() -> None:
    assert central_crop(np.full((40, 30, 3), 7, np.uint8), 100).tolist()[99][99] == [7, 7, 7]
