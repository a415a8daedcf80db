import numpy as np
import pytest

from app.domain.calibration import Calibration, OperatingPoint
from app.training.evaluation.curves import FAILED, Comparisons
from app.training.evaluation.intervals import (
    ImpostorTrials,
    accuracy_interval,
    fnmr_interval,
    tar_interval,
)
from app.training.evaluation.rates import is_supported, measure_rates
from app.training.metrics import bootstrap_weights, pair_rate_interval

CALIBRATION = Calibration(
    {"1": (OperatingPoint(0.01, 0.5, 0.01, (0.005, 0.02), 0.1, (0, 0.2), 50, 20),)}
)


def crowd(people: int, false_matches: int) -> Comparisons:
    """One genuine pair a person, the first one failed; every two people are compared once."""
    first, second = np.triu_indices(people, 1)
    impostor = np.zeros(len(first), np.float32)
    impostor[:false_matches] = 0.6
    genuine = np.full(people, 0.9, np.float32)
    genuine[0] = FAILED
    genuine[1] = 0.4
    return Comparisons(genuine, np.arange(people), impostor, first, second)


def test_rates_at_the_bundles_thresholds_by_hand() -> None:
    rates = measure_rates(crowd(20, 19), CALIBRATION, seed=1)
    assert (rates.genuine_pairs, rates.impostor_pairs) == (20, 190)
    at = rates.at_max_fmr["0.01"]
    assert at is not None
    assert at.threshold == 0.5
    assert at.fmr.value == pytest.approx(0.1)
    assert at.fnmr.value == pytest.approx(0.1)  # the failed pair and the one that scores 0.4
    assert at.fmr.low < 0.1 < at.fmr.high
    assert at.fnmr.low < 0.1 < at.fnmr.high
    assert rates.at_max_fmr["0.001"] is None
    shown = dict(rates.rows())
    assert shown["FMR at max_fmr 0.001"] == "unsupported by the bundle"
    assert shown["FNMR at max_fmr 0.01"].startswith("10.00% (")


def test_a_rate_needs_thirty_false_matches_of_ten_pairs_of_people() -> None:
    enough = crowd(300, 45)  # 44,850 impostor pairs allow 44 false matches at 0.001
    assert is_supported(enough, 1e-2)
    assert not is_supported(enough, 1e-4)
    lumped = Comparisons(
        enough.genuine,
        enough.owners,
        np.linspace(0, 1, 44850, dtype=np.float32),
        np.where(np.arange(44850) > 40000, 0, enough.first),
        np.where(np.arange(44850) > 40000, 1, enough.second),
    )
    assert not is_supported(lumped, 1e-3)
    rates = measure_rates(lumped, CALIBRATION, seed=1)
    assert rates.tar_at_fmr["0.001"] is None
    assert "unsupported" in dict(rates.rows())["TAR at FMR 0.001"]


def test_ties_at_the_threshold_count_for_nothing() -> None:
    tied = crowd(300, 0)  # every impostor pair scores 0: none matches at any FMR below 1
    assert not is_supported(tied, 0.01)


def test_the_interval_of_listed_pairs_is_that_of_their_counts() -> None:
    generator = np.random.default_rng(2)
    first, second = generator.integers(0, 30, (2, 4000))
    hits = generator.random(4000) < 0.1
    weights = bootstrap_weights(30, 300, 1)
    counts = [np.zeros((30, 30)), np.zeros((30, 30))]
    np.add.at(counts[0], (first[hits], second[hits]), 1)
    np.add.at(counts[1], (first, second), 1)
    listed = ImpostorTrials.of(first, second, weights).rate(hits)
    counted = pair_rate_interval(counts[0], counts[1], weights)
    assert listed.value == pytest.approx(counted.value)
    assert listed.low == pytest.approx(counted.low)
    assert listed.high == pytest.approx(counted.high)


def test_no_false_match_does_not_prove_a_rate_of_zero() -> None:
    made = crowd(20, 0)
    trials = ImpostorTrials.of(made.first, made.second, bootstrap_weights(20, 100, 1))
    found = trials.rate(made.impostor > 0.5)
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(-np.log(0.025) / 190)


def test_the_tar_counts_the_uncertainty_of_its_own_threshold() -> None:
    generator = np.random.default_rng(4)
    first, second = np.triu_indices(60, 1)
    shifts = generator.normal(size=60)  # people who resemble everybody
    impostor = shifts[first] + shifts[second] + generator.normal(size=len(first))
    made = Comparisons(
        generator.normal(3, 1, 600).astype(np.float32),
        np.arange(600) % 60,
        impostor.astype(np.float32),
        first,
        second,
    )
    weights = made.weights(200, 1)
    own = tar_interval(made, 0.02, weights)
    threshold = float(np.quantile(impostor, 0.98))
    fixed = fnmr_interval(made, threshold, weights)
    assert own.value == pytest.approx(1 - fixed.value, abs=0.01)
    assert own.high - own.low > 1.5 * (fixed.high - fixed.low)


def test_accuracy_is_less_sure_when_one_person_makes_the_errors() -> None:
    people = np.repeat(np.arange(40), 10)
    same = np.ones(400, np.bool_)
    same[::2] = False
    other = np.where(same, people, (people + 1) % 40)
    spread, lumped = np.ones(400, np.bool_), np.ones(400, np.bool_)
    spread[::10] = False
    lumped[:40] = False
    even, uneven = (
        accuracy_interval(right, same, (people, other), seed=1) for right in (spread, lumped)
    )
    assert even.value == uneven.value == 0.9
    assert uneven.high - uneven.low > 2 * (even.high - even.low)
    perfect = accuracy_interval(np.ones(400, np.bool_), same, (people, other), seed=1)
    assert (perfect.low, perfect.high) == pytest.approx((1 + np.log(0.025) / 40, 1))


def test_no_error_among_few_people_does_not_prove_a_rate_of_zero() -> None:
    made = crowd(20, 0)
    made.genuine[:] = 0.9
    rates = measure_rates(made, CALIBRATION, seed=1, fmrs=(0.01,))
    at = rates.at_max_fmr["0.01"]
    assert at is not None
    for rate in (at.fnmr, rates.equal_error_rate):
        assert (rate.value, rate.low) == (0, 0)
        assert rate.high == pytest.approx(-np.log(0.025) / 20)
    tar = tar_interval(made, 0.01, made.weights(50, 1))
    assert (tar.value, tar.high) == (1, 1)
    assert tar.low == pytest.approx(1 + np.log(0.025) / 20)
