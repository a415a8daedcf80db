import numpy as np
import pytest

from app.domain.calibration import Calibration
from app.domain.decisions import Decider
from app.domain.scoring import L1Head, ScoreName
from benchmarks.seed_protocol_rates import Scores, interval, scores, tar_rounds
from tests.training.people import people


def decider() -> Decider:
    return Decider(ScoreName.COSINE, L1Head(np.ones(16, np.float32), 1.0), "mean", Calibration({}))


def test_the_threshold_lets_just_as_many_impostors_through() -> None:
    impostor = np.arange(100, dtype=np.float32)[None]
    genuine = np.array([[98.5, 97.5, -np.inf, 200.0]], np.float32)
    # At 1 % one of 100 may match, 99; so 98 is the first that must not.
    assert tar_rounds(Scores(genuine, impostor), 0.01, 0)[0] == pytest.approx(2 / 4)
    assert tar_rounds(Scores(genuine, impostor), 0.02, 0)[0] == pytest.approx(3 / 4)
    assert tar_rounds(Scores(genuine, impostor), 0.001, 0)[0] == pytest.approx(1 / 4)


def test_equal_bundles_differ_in_no_round() -> None:
    found = Scores(
        np.random.default_rng(0).normal(1, 1, (3, 20)).astype(np.float32),
        np.random.default_rng(1).normal(0, 1, (3, 50)).astype(np.float32),
    )
    difference = tar_rounds(found, 0.1, 7) - tar_rounds(found, 0.1, 7)
    assert not difference.any()
    assert interval(difference).low == 0


def test_unusable_photos_fail_as_probes_and_are_no_impostors() -> None:
    owner, others = people(1, 8), people(30, 1, seed=3)
    owner.usable[0] = others.usable[:10] = False
    found = scores(decider(), owner, owner, others, count=3, seed=0)
    assert np.isneginf(found.genuine[:, 0]).all()
    assert np.isfinite(found.genuine[:, 1:]).all()
    assert found.impostor.shape == (40, 20)
