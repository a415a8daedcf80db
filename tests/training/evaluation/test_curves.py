import numpy as np
import pytest

from app.training.evaluation.curves import (
    FAILED,
    Comparisons,
    error_curve,
    rate_curve,
    resampled,
)
from app.training.metrics import equal_error_rate, threshold_at_fmr


def comparisons(genuine: list[float], impostor: list[float], people: int = 5) -> Comparisons:
    """Pairs of `people` people in turn; impostor pairs are of one person and the next."""
    first = np.arange(len(impostor)) % people
    return Comparisons(
        np.array(genuine, np.float32),
        np.arange(len(genuine)) % people,
        np.array(impostor, np.float32),
        first,
        (first + 1) % people,
    )


def random(genuine: int, impostor: int, *, steps: int, seed: int) -> Comparisons:
    """Scores in `steps` steps, so that many are tied."""
    generator = np.random.default_rng(seed)
    scores = [
        np.round(generator.normal(mean, 1, count) * steps) / steps
        for mean, count in ((2, genuine), (0, impostor))
    ]
    return comparisons(scores[0].tolist(), scores[1].tolist(), people=9)


SMALL = comparisons([0.4, 0.6, 0.7, 0.9], [0.1, 0.2, 0.3, 0.5])


def test_rates_by_hand() -> None:
    curve = error_curve(SMALL)
    assert curve.fmr([0, 0.2, 0.25, 0.5, 0.6]).tolist() == [1, 0.75, 0.5, 0.25, 0]
    assert curve.fnmr([0, 0.4, 0.5, 0.7, 1]).tolist() == [0, 0, 0.25, 0.5, 1]
    assert curve.equal_error_rate() == 0.25
    assert curve.tar([0, 0.25, 0.5]).tolist() == [0.75, 1, 1]


@pytest.mark.parametrize("steps", [2, 10, 10_000])
def test_curve_and_metrics_agree_also_on_ties(steps: int) -> None:
    made = random(300, 2000, steps=steps, seed=steps)
    curve = error_curve(made)
    for fmr in (0, 1e-4, 1e-3, 0.01, 0.05, 0.3, 0.9, 1):
        assert curve.thresholds_at(fmr) == np.float32(threshold_at_fmr(made.impostor, fmr))
    assert curve.equal_error_rate() == pytest.approx(equal_error_rate(made.genuine, made.impostor))


def test_a_failed_pair_does_not_match_at_any_threshold() -> None:
    made = comparisons([FAILED, 0.6], [0.1, 0.2])
    assert error_curve(made).tar(1.0) == 0.5
    assert made.made().genuine.tolist() == [np.float32(0.6)]
    assert len(made.made().impostor) == 2


def test_a_round_is_the_curve_of_pairs_repeated_as_often_as_their_people_are_drawn() -> None:
    made = random(60, 200, steps=50, seed=3)
    drawn = np.array([[2, 0, 1, 3, 0, 1, 1, 1, 0]], np.float64)
    (curve,) = resampled(made, drawn)
    times = drawn[0].astype(int)
    own, strangers = times[made.owners], times[made.first] * times[made.second]
    repeated = Comparisons(
        np.repeat(made.genuine, own),
        np.repeat(made.owners, own),
        np.repeat(made.impostor, strangers),
        np.repeat(made.first, strangers),
        np.repeat(made.second, strangers),
    )
    at = np.linspace(-3, 5, 41)
    expected = error_curve(repeated)
    assert curve.fmr(at) == pytest.approx(expected.fmr(at))
    assert curve.fnmr(at) == pytest.approx(expected.fnmr(at))
    assert curve.equal_error_rate() == pytest.approx(expected.equal_error_rate())


def test_rounds_without_a_pair_of_either_kind_are_left_out() -> None:
    made = comparisons([0.9], [0.1], people=2)
    drawn = np.array([[2, 0], [1, 1], [0, 2]], np.float64)
    assert len(list(resampled(made, drawn))) == 1


def test_the_curve_of_a_plot() -> None:
    made = random(300, 3000, steps=10_000, seed=1)
    curve = rate_curve(made, rounds=50, seed=1, points=20)
    assert curve.fmr[0] == pytest.approx(1 / 3000)
    assert curve.fmr[-1] == 1
    assert curve.fnmr[-1] == 0
    assert curve.supported == pytest.approx(0.01)
    assert (np.diff(curve.fnmr) <= 0).all()
    assert (curve.low <= curve.fnmr).all()
    assert (curve.fnmr <= curve.high).all()
    assert (curve.low < curve.high).any()
    middle = 10
    exact = np.mean(made.genuine < threshold_at_fmr(made.impostor, float(curve.fmr[middle])))
    assert curve.fnmr[middle] == pytest.approx(exact)
