import cv2
import numpy as np
import pytest

from app.domain.entities import Face, FacePolicy, Pixels
from app.inference.measure import head_pose
from app.inference.pipeline import Pipeline
from app.training.evaluation.degrade import (
    BAR_COLOUR,
    BLUR_SIGMA,
    DEGRADATIONS,
    MASK_COLOUR,
    NOISE_SIGMA,
    Portrait,
    barred,
    blurred,
    in_low_light,
    masked,
    noisy,
    reduced,
    turned,
)
from tests import pictures

DATA = pictures.ASTRONAUT.read_bytes()


@pytest.fixture(scope="module")
def face(pipeline: Pipeline) -> Face:
    return pipeline.analyze(DATA, FacePolicy.PROMINENT).face


@pytest.fixture
def portrait(face: Face) -> Portrait:
    return Portrait.of(DATA, face)


def generator() -> np.random.Generator:
    return np.random.default_rng(1)


def plain(portrait: Portrait, value: int) -> Portrait:
    return Portrait(np.full_like(portrait.pixels, value), portrait.landmarks, portrait.face_width)


def test_the_face_is_60_pixels_wide_for_the_detector_too(
    portrait: Portrait, pipeline: Pipeline
) -> None:
    small = reduced(portrait, generator())
    assert small.face_width == pytest.approx(60, abs=1)
    assert small.eye_distance == pytest.approx(
        portrait.eye_distance * 60 / portrait.face_width, rel=0.02
    )
    found = pipeline.analyze(pictures.encode(small.pixels, ".png"), FacePolicy.PROMINENT)
    assert found.face.box.width == pytest.approx(60, abs=4)
    distance = np.abs(found.face.landmarks.as_array() - small.landmarks)
    assert distance.max() < 0.1 * small.eye_distance


def test_a_small_face_is_not_enlarged(portrait: Portrait) -> None:
    small = Portrait(portrait.pixels, portrait.landmarks, 59)
    assert (reduced(small, generator()).pixels == portrait.pixels).all()


@pytest.mark.parametrize("degrees", [30, -30])
def test_a_turn_rolls_the_face_and_leaves_it_where_it_is(
    portrait: Portrait, pipeline: Pipeline, degrees: float
) -> None:
    after = turned(degrees)(portrait, generator())
    assert after.pixels.shape == portrait.pixels.shape
    assert after.landmarks.mean(axis=0) == pytest.approx(portrait.landmarks.mean(axis=0))
    roll = head_pose(after.landmarks)[2] - head_pose(portrait.landmarks)[2]
    assert roll == pytest.approx(degrees, abs=0.1)
    found = pipeline.analyze(pictures.encode(after.pixels, ".png"), FacePolicy.PROMINENT)
    distance = np.abs(found.face.landmarks.as_array() - after.landmarks)
    assert distance.max() < 0.15 * portrait.eye_distance


def test_blur_spreads_a_point_by_its_share_of_the_eye_distance(portrait: Portrait) -> None:
    dark = plain(portrait, 0)
    dark.pixels[200:312, 200:312] = 255
    edge = blurred(dark, generator()).pixels[256, :256, 0] / 255.0
    # The slope of a blurred edge is the Gaussian itself; its spread is sigma.
    slope, at = np.diff(edge), np.arange(255) + 0.5
    mean = (slope * at).sum() / slope.sum()
    sigma = np.sqrt((slope * (at - mean) ** 2).sum() / slope.sum())
    assert sigma == pytest.approx(BLUR_SIGMA * portrait.eye_distance, rel=0.1)


def test_low_light_dims_by_three_stops_with_shot_noise(portrait: Portrait) -> None:
    dim = in_low_light(plain(portrait, 200), generator()).pixels
    linear = (dim / 255.0) ** 2.2
    expected = (200 / 255) ** 2.2 / 8
    assert linear.mean() == pytest.approx(expected, rel=0.02)
    # Photons are Poisson: of a thousand at white, their variance is their number.
    assert linear.var() == pytest.approx(expected / 1000, rel=0.1)


def test_noise_has_the_stated_spread(portrait: Portrait) -> None:
    loud = noisy(plain(portrait, 128), generator()).pixels.astype(float)
    assert loud.mean() == pytest.approx(128, abs=0.5)
    assert loud.std() == pytest.approx(NOISE_SIGMA, rel=0.02)


def colours(
    pixels: Pixels, points: np.ndarray[tuple[int, int], np.dtype[np.float32]]
) -> set[tuple[int, ...]]:
    return {tuple(int(v) for v in pixels[round(y), round(x)]) for x, y in points.tolist()}


def test_the_mask_covers_the_mouth_and_leaves_nose_and_eyes(portrait: Portrait) -> None:
    after = masked(portrait, generator()).pixels
    assert colours(after, portrait.landmarks[3:]) == {MASK_COLOUR}
    upper = slice(0, round(float(portrait.landmarks[2, 1])) + 1)
    assert (after[upper] == portrait.pixels[upper]).all()


def test_the_bar_covers_the_eyes_and_leaves_nose_and_mouth(portrait: Portrait) -> None:
    after = barred(portrait, generator()).pixels
    assert colours(after, portrait.landmarks[:2]) == {BAR_COLOUR}
    lower = slice(round(float(portrait.landmarks[2, 1])), None)
    assert (after[lower] == portrait.pixels[lower]).all()


def test_occlusions_turn_with_the_face(portrait: Portrait) -> None:
    after = turned(30)(portrait, generator())
    assert colours(masked(after, generator()).pixels, after.landmarks[3:]) == {MASK_COLOUR}
    assert colours(barred(after, generator()).pixels, after.landmarks[:2]) == {BAR_COLOUR}


def test_files_are_the_same_again_and_lossless_but_for_jpeg(portrait: Portrait) -> None:
    assert len({d.name for d in DEGRADATIONS}) == len(DEGRADATIONS) == 9
    for degradation in DEGRADATIONS:
        file = degradation.apply(DATA, portrait, 1)
        assert file == degradation.apply(DATA, portrait, 1)
        random = degradation.name in {"noise", "low_light"}
        assert (file != degradation.apply(DATA, portrait, 2)) == random
        assert file.startswith(b"\xff\xd8" if degradation.name == "jpeg_20" else b"\x89PNG")


def test_every_photo_gets_noise_of_its_own(portrait: Portrait) -> None:
    noise = next(d for d in DEGRADATIONS if d.name == "noise")
    assert noise.apply(DATA, portrait, 1) != noise.apply(DATA + b"x", portrait, 1)


def test_the_jpeg_file_has_the_stated_quality(portrait: Portrait) -> None:
    file = next(d for d in DEGRADATIONS if d.name == "jpeg_20").apply(DATA, portrait, 1)
    bgr = cv2.cvtColor(portrait.pixels, cv2.COLOR_RGB2BGR)
    assert file == cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 20])[1].tobytes()


def test_a_large_photo_is_degraded_as_the_pipeline_sees_it(pipeline: Pipeline) -> None:
    large = cv2.resize(pictures.read(pictures.ASTRONAUT), (2560, 2560))
    data = pictures.encode(large.astype(np.uint8))
    portrait = Portrait.of(data, pipeline.analyze(data, FacePolicy.PROMINENT).face)
    assert portrait.pixels.shape == (1920, 1920, 3)
    # The mouth is where the landmarks say, so coordinates are those of the reduced photo.
    again = pipeline.analyze(pictures.encode(portrait.pixels, ".png"), FacePolicy.PROMINENT)
    moved = np.abs(again.face.landmarks.as_array() - portrait.landmarks).max()
    assert moved < 0.02 * portrait.eye_distance
