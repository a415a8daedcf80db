import numpy as np
import pytest

from app.inference.align import AlignmentTemplate
from app.inference.bundle import Bundle
from app.training.presets.placement import arcface_crop, whole_face


@pytest.fixture
def base(bundle: Bundle) -> AlignmentTemplate:
    return bundle.manifest.alignment.template()


def test_the_whole_face_is_on_the_tutorials_crop(base: AlignmentTemplate) -> None:
    found = whole_face(base, 100)
    assert found.size == 100
    left, right = found.points[:2]
    assert (right - left).tolist() == pytest.approx([30, 0], abs=1e-4)
    assert (left + right) / 2 == pytest.approx([49.5, 39.5], abs=1e-4)
    chin, hairline = 39.5 + 1.9 * 30, 39.5 - 1.2 * 30
    assert 0 <= hairline < chin <= 100


def test_the_shape_of_the_face_is_that_of_the_base(base: AlignmentTemplate) -> None:
    found = arcface_crop(base, 112)
    scale = np.linalg.norm(found.points[1] - found.points[0]) / np.linalg.norm(
        base.points[1] - base.points[0]
    )
    assert found.points - found.points[0] == pytest.approx(
        (base.points - base.points[0]) * scale, abs=1e-3
    )
    assert found.points[:2] == pytest.approx(np.array([[37.9, 51.1], [73.1, 51.1]]), abs=0.01)
    # published for other landmarks: nose and mouth at 71.7 and 92.3, mouth from 41.5 to 70.7
    assert found.points[2:, 1] == pytest.approx(np.array([71.7, 92.3, 92.3]), abs=5)
