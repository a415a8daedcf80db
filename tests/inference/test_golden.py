import numpy as np
import pytest

from app.domain.entities import Floats
from app.inference.golden import GOLDEN_COMMONNESS, GOLDEN_COSINE, Agreement

STORED = np.array([0.6, 0.8, 0.2], np.float32)


def turned(degrees: float, commonness: float) -> Floats:
    """The stored embedding turned, with another commonness."""
    angle = np.arctan2(0.8, 0.6) + np.radians(degrees)
    return np.array([np.cos(angle), np.sin(angle), commonness], np.float32)


@pytest.mark.parametrize(
    ("degrees", "commonness", "passed"),
    [(0, 0.2, True), (2, 0.204, True), (3, 0.2, False), (0, 0.22, False), (0, np.nan, False)],
    ids=["equal", "close", "another face", "another commonness", "no number"],
)
def test_face_and_commonness_are_judged_apart(
    degrees: float, commonness: float, passed: bool
) -> None:
    found = Agreement.of(turned(degrees, commonness), STORED, commonness=True)
    assert found.passed is passed
    assert found.cosine == pytest.approx(np.cos(np.radians(degrees)), abs=1e-6)


def test_without_a_commonness_all_numbers_are_the_face() -> None:
    found = Agreement.of(STORED, STORED, commonness=False)
    assert found.commonness is None
    assert found.passed
    assert str(found) == f"least golden cosine 1.000000, required {GOLDEN_COSINE}"


def test_the_worst_image_counts_and_no_later_one_heals_it() -> None:
    worst = Agreement(1.0, None)
    for cosine, commonness in ((0.9995, 0.001), (np.nan, 0.02), (1.0, 0.0)):
        worst = worst.worse(Agreement(cosine, commonness))
    assert np.isnan(worst.cosine)
    assert worst.commonness == 0.02
    assert not worst.passed
    assert f"commonness off by 0.020000, allowed {GOLDEN_COMMONNESS}" in str(worst)
