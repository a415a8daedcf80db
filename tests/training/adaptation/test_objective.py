import math

import numpy as np
import pytest

from app.domain.entities import Floats
from app.training.adaptation.objective import contrast, distillation


def at(*degrees: float) -> Floats:
    """Unit vectors in the plane."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_distillation_is_the_squared_chord_of_the_angle() -> None:
    found = float(distillation(at(0, 10), at(60, 10)))
    assert found == pytest.approx((2 - 2 * math.cos(math.radians(60))) / 2, abs=1e-6)


def contrasted(bank: Floats, same: list[bool], scale: float) -> float:
    """Loss of one photo at 0 degrees, the first of the bank."""
    scores = at(0) @ bank.T
    itself = np.arange(len(bank))[None] == 0
    return float(contrast(scores, np.array([same]), itself, scale))


def test_contrast_of_one_pair_and_one_stranger_is_a_logistic_loss() -> None:
    expected = math.log1p(math.exp(8 * (math.cos(math.radians(90)) - math.cos(math.radians(30)))))
    assert contrasted(at(0, 30, 90), [True, True, False], 8) == pytest.approx(expected, abs=1e-5)


def test_contrast_adds_strangers_up_and_means_over_positives() -> None:
    stranger = 2 * math.exp(4 * math.cos(math.radians(90)))
    each = [math.log1p(stranger / math.exp(4 * math.cos(math.radians(a)))) for a in (20, 40)]
    found = contrasted(at(0, 20, 40, 90, -90), [True, True, True, False, False], 4)
    assert found == pytest.approx(np.mean(each), abs=1e-5)


def test_a_photo_without_another_of_the_person_costs_nothing() -> None:
    assert contrasted(at(0, 90), [True, False], 8) == 0
