from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from app.domain.calibration import BUCKETS, Calibration
from app.domain.decisions import Decider
from app.domain.scoring import L1Head, ScoreName
from app.training.calibrate import (
    MIN_FALSE_MATCHES,
    MIN_IDENTITY_PAIRS,
    calibrate,
    measured_point,
    operating_points,
)
from app.training.metrics import bootstrap_weights
from app.training.trials import Trials, bucket_trials
from tests.training.people import people

DECIDER = Decider(ScoreName.COSINE, L1Head(np.ones(16, np.float32), 1.0), "mean", Calibration({}))


@pytest.mark.parametrize("bucket", BUCKETS)
def test_trials_never_compare_a_photo_with_itself(bucket: str) -> None:
    trials = bucket_trials(people(12, 14), DECIDER, bucket, draws=1, seed=1)
    low, high = BUCKETS[bucket]
    genuine = np.bincount(trials.subjects[trials.genuine])
    assert (genuine >= 14 - (high or 13)).all()
    assert (genuine <= 14 - low).all()
    assert trials.scores[trials.genuine].max() < 1 - 1e-6


def test_people_with_too_few_photos_are_probes_but_not_subjects() -> None:
    photos = people(10, 4)
    trials = bucket_trials(photos, DECIDER, "3-5", draws=1, seed=1)
    assert len(set(trials.subjects)) == 10
    assert not set(bucket_trials(people(10, 3), DECIDER, "3-5", draws=1, seed=1).subjects)


def test_unusable_photos_are_failures_of_their_person_and_never_references() -> None:
    photos = people(10, 4)
    usable = photos.usable.copy()
    usable[0] = False
    trials = bucket_trials(replace(photos, usable=usable), DECIDER, "1", draws=2, seed=1)
    assert trials.failures.tolist() == [2] + [0] * 9
    # Two subjects' draws less one probe each, and one genuine probe less for the person itself.
    assert np.count_nonzero(trials.subjects == 1) == 2 * (40 - 1 - 1)


def test_the_priced_rate_holds_on_other_people_of_the_same_kind() -> None:
    calibration = calibrate(people(150, 7, seed=1), DECIDER, seed=1)
    for bucket in ("1", "2", "3-5"):
        fresh = bucket_trials(people(300, 7, seed=2), DECIDER, bucket, draws=1, seed=2)
        for point in calibration.buckets[bucket]:
            if point.target_fmr >= 0.01:
                observed = np.mean(fresh.scores[~fresh.genuine] >= point.threshold)
                low, high = point.fmr_interval
                assert low * 0.8 <= observed <= high * 1.25


def test_only_rates_with_enough_false_matches_are_supported() -> None:
    calibration = calibrate(people(20, 4), DECIDER, seed=1)
    for points in calibration.buckets.values():
        for point in points:
            if not point.inherited:
                assert point.false_matches >= MIN_FALSE_MATCHES
                assert point.identity_pairs >= MIN_IDENTITY_PAIRS
    assert min(p.target_fmr for p in calibration.buckets["1"]) > 1e-3
    assert not calibration.buckets["11+"]


def test_false_matches_of_one_look_alike_pair_support_nothing() -> None:
    scores = np.concatenate([np.full(200, 0.9), np.linspace(-1, 0, 1800)]).astype(np.float32)
    subjects = np.concatenate([np.zeros(200), np.arange(1800) % 30]).astype(np.intp)
    probes = np.concatenate([np.ones(200), (np.arange(1800) + 7) % 30]).astype(np.intp)
    trials = Trials(scores, subjects, probes, np.arange(2000), np.zeros(30, np.intp))
    assert operating_points(trials, {}, seed=1) == ()


def test_the_same_photo_in_many_draws_is_one_false_match() -> None:
    """20 draws in which the same 15 look-alike photos match are 15 false matches."""
    draws = 20
    scores = np.tile(np.concatenate([np.full(15, 0.9), np.zeros(285)]), draws).astype(np.float32)
    subjects = np.tile(np.arange(300) % 20, draws)
    probes = np.tile((np.arange(300) + 7) % 20, draws)
    photos = np.tile(np.arange(300), draws)
    trials = Trials(scores, subjects, probes, photos, np.zeros(20, np.intp))
    weights = bootstrap_weights(20, 50, 1)
    point = measured_point(trials, weights, 0.05, 0.5)
    assert point.false_matches == point.identity_pairs == 15
    assert point.fmr == pytest.approx(0.05)
    assert operating_points(trials, {}, seed=1) == ()


def test_a_pair_of_people_counts_once_whoever_of_them_is_enrolled() -> None:
    subjects, probes = np.array([0, 1, 0, 1]), np.array([1, 0, 2, 0])
    trials = Trials(np.ones(4, np.float32), subjects, probes, np.arange(4), np.zeros(3, np.intp))
    point = measured_point(trials, bootstrap_weights(3, 20, 1), 0.1, 0.5)
    assert (point.false_matches, point.identity_pairs) == (4, 2)


def test_a_larger_bucket_keeps_what_the_smaller_one_supports() -> None:
    calibration = calibrate(people(60, 8, spread=1.0), DECIDER, seed=1)
    targets = [
        {point.target_fmr for point in points} for points in calibration.buckets.values() if points
    ]
    for smaller, larger in pairwise(targets):
        assert smaller <= larger
    inherited = [p for points in calibration.buckets.values() for p in points if p.inherited]
    assert inherited
    assert all(point.fmr <= point.target_fmr for point in inherited)


def test_more_references_never_make_a_threshold_laxer() -> None:
    calibration = calibrate(people(60, 14, spread=1.0), DECIDER, seed=1)
    for target in (0.1, 0.05):
        thresholds = [
            point.threshold
            for bucket in BUCKETS
            for point in calibration.buckets[bucket]
            if point.target_fmr == target
        ]
        assert len(thresholds) == len(BUCKETS)
        assert thresholds == sorted(thresholds)


def test_calibration_is_reproducible() -> None:
    assert calibrate(people(30, 4), DECIDER, seed=3) == calibrate(people(30, 4), DECIDER, seed=3)
