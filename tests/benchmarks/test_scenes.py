import numpy as np
import pytest

from app.domain.entities import FacePolicy
from app.domain.faces import choose_face
from app.inference.bundle import Bundle
from app.inference.detect import Detector
from benchmarks.detection import SCENES, _detector, _errors
from benchmarks.scenes import Portrait, Scene
from tests import pictures


@pytest.fixture(scope="module")
def detector(bundle: Bundle) -> Detector:
    return _detector(bundle)


@pytest.fixture(scope="module")
def portraits(detector: Detector) -> list[Portrait]:
    made = []
    for picture in (pictures.ASTRONAUT, pictures.HOPPER):
        pixels = pictures.read(picture)
        size = pixels.shape[1], pixels.shape[0]
        made.append(Portrait(pixels, choose_face(detector(pixels), FacePolicy.LARGEST, *size)))
    return made


@pytest.mark.parametrize("degrees", [-30, 0, 20])
@pytest.mark.parametrize("face", [60, 130])
def test_faces_lie_where_the_frame_says(
    detector: Detector, portraits: list[Portrait], degrees: float, face: float
) -> None:
    scene = Scene((640, 480), face, faces=2, degrees=degrees)
    frame = scene.compose(portraits, np.random.default_rng(2))
    assert frame.pixels.shape == (480, 640, 3)
    errors = _errors(frame, detector(frame.pixels))
    assert len(errors) == 2
    assert max(errors) < 0.1


def test_a_face_elsewhere_counts_as_not_found(
    detector: Detector, portraits: list[Portrait]
) -> None:
    scene = Scene((640, 480), 100)
    frames = [scene.compose(portraits[:1], np.random.default_rng(seed)) for seed in (1, 2)]
    assert _errors(frames[0], detector(frames[1].pixels)) == []
    assert _errors(frames[0], []) == []


def test_one_found_face_counts_for_one_placed_face(
    detector: Detector, portraits: list[Portrait]
) -> None:
    frame = SCENES["one face"].compose(portraits[:1], np.random.default_rng(1))
    twice = type(frame)(frame.pixels, frame.faces * 2)
    assert len(_errors(twice, detector(frame.pixels))) == 1
