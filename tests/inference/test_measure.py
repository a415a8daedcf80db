from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.domain.entities import Box, Face, Landmarks
from app.inference.align import AlignmentTemplate, align
from app.inference.measure import _MODEL, head_pose, measure


def projected(yaw: float, pitch: float, roll: float, size: float = 50) -> NDArray[Any]:
    """The generic head turned by degrees and looked at from far away."""
    y, p, r = np.radians([yaw, pitch, roll])
    turn_yaw = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    turn_pitch = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    turn_roll = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    turned = _MODEL @ (turn_roll @ turn_pitch @ turn_yaw).T
    return np.asarray(turned[:, :2] * size + 100, np.float32)


@pytest.mark.parametrize(
    "pose",
    [
        (0, 0, 0),
        (30, 0, 0),
        (-30, 0, 0),
        (0, 25, 0),
        (0, -25, 0),
        (0, 0, 40),
        (20, 10, -15),
        (30, 30, 0),
        (45, 30, 20),
        (-40, -20, 35),
    ],
)
def test_pose_is_recovered(pose: tuple[float, float, float]) -> None:
    assert head_pose(projected(*pose)) == pytest.approx(pose, abs=0.01)


TEMPLATE = AlignmentTemplate(
    60, np.array([[18, 18], [42, 18], [30, 32], [20, 43], [40, 43]], np.float32)
)


def measures_at(pixels: NDArray[Any], shift: tuple[float, float]) -> dict[str, float]:
    points = TEMPLATE.points + np.array(shift, np.float32)
    face = Face(Box(0, 0, 40, 50), Landmarks(*((float(x), float(y)) for x, y in points)), 0.97)
    return measure(pixels, align(pixels, points, TEMPLATE), face, TEMPLATE)


def noise(low: int, high: int) -> NDArray[Any]:
    return np.random.default_rng(1).integers(low, high, (200, 200, 3)).astype(np.uint8)


def test_measures_have_their_units() -> None:
    found = measures_at(noise(60, 200), (70, 70))
    assert found["eye_distance"] == pytest.approx(24)
    assert found["brightness"] == pytest.approx(130, abs=5)
    assert found["detection_score"] == 0.97
    assert found["inside"] == 1.0
    assert found["roll"] == pytest.approx(0, abs=0.1)
    assert found["pose"] == max(abs(found[angle]) for angle in ("yaw", "pitch", "roll"))


def test_flat_is_blurred_and_noise_is_sharp() -> None:
    flat = measures_at(np.full((200, 200, 3), 90, np.uint8), (70, 70))
    assert flat["sharpness"] == 0
    assert flat["contrast"] == 0
    assert measures_at(noise(60, 200), (70, 70))["sharpness"] > 1000


def test_a_face_over_the_edge_is_cut_off() -> None:
    assert measures_at(noise(0, 255), (-30, 70))["inside"] == pytest.approx(0.5, abs=0.01)
