import numpy as np
import pytest

from app.domain.training import Judgement
from app.training.acceptance.gate import judge
from app.training.acceptance.paired import flip_chance, student
from tests.training.acceptance.scenes import contest, sample

OWNER_AND_STRANGERS = sample([60, *[1] * 150])


def test_a_better_bundle_is_better_and_the_other_way_round_worse() -> None:
    better = judge(contest(OWNER_AND_STRANGERS, 0.6, 1.2), max_fmr=0.05, seed=1)
    worse = judge(contest(OWNER_AND_STRANGERS, 1.2, 0.6), max_fmr=0.05, seed=1)
    assert better.judgement is Judgement.BETTER
    assert worse.judgement is Judgement.WORSE
    assert better.difference is not None
    assert better.candidate is not None
    assert better.active is not None
    assert better.difference.value == pytest.approx(better.candidate.value - better.active.value)
    assert better.difference.low <= better.difference.value <= better.difference.high < 0
    assert (better.unit, better.units, better.impostors) == ("groups", 60, 150)
    assert better.sentence.startswith("The new bundle is better than the active one.")
    assert "With 3 references" in better.sentence


def test_the_same_bundle_twice_is_indistinguishable() -> None:
    both = contest(OWNER_AND_STRANGERS, 0.8, 0.8)
    same = judge(type(both)(both.sample, both.active, both.active), max_fmr=0.05, seed=1)
    assert same.judgement is Judgement.INDISTINGUISHABLE
    assert same.difference is not None
    assert (same.difference.value, same.difference.low, same.difference.high) == (0, 0, 0)
    assert same.chance == 1


@pytest.mark.parametrize("photos", [8, 16])
def test_false_alarms_are_rare_where_there_is_no_difference(photos: int) -> None:
    """Both bundles are equally good; what differs is luck. Nominal: 2.5 % each way."""
    made = sample([photos, *[1] * 250])
    results = [
        judge(contest(made, 1.2, 1.2, seed=seed), max_fmr=0.05, seed=seed, rounds=200)
        for seed in range(60)
    ]
    assert all(result.difference for result in results)
    verdicts = [result.judgement for result in results]
    assert verdicts.count(Judgement.BETTER) <= 3
    assert verdicts.count(Judgement.WORSE) <= 4


def test_few_images_never_make_a_lucky_bundle_better() -> None:
    """Four photos: even if all of them are missed by one bundle only, it may be chance."""
    lucky = 0
    for seed in range(20):
        made = contest(sample([4, *[1] * 250]), 0.3, 1.5, seed=seed)
        result = judge(made, max_fmr=0.1, seed=seed, rounds=200)
        assert result.judgement is Judgement.INDISTINGUISHABLE
        assert result.difference is not None
        lucky += result.difference.value < -0.3
    assert lucky > 3


def test_the_target_is_the_strictest_rate_that_the_impostors_support() -> None:
    few = judge(contest(OWNER_AND_STRANGERS, 0.6, 1.2), max_fmr=0.001, seed=1)
    assert few.target_fmr is not None
    assert few.target_fmr > 0.001 == few.asked_fmr
    assert "FACETWIN_MAX_FMR=0.001" in few.sentence
    assert f"done at {few.target_fmr:g}." in few.sentence
    many = judge(contest(sample([20, *[1] * 1500]), 0.6, 1.2), max_fmr=0.01, seed=1, rounds=50)
    assert many.target_fmr == 0.01
    assert "FACETWIN_MAX_FMR" not in many.sentence


def test_too_few_people_or_photos_judge_nothing() -> None:
    lonely = judge(contest(sample([30, *[3] * 5]), 0.3, 1.2), max_fmr=0.01, seed=1)
    assert (lonely.judgement, lonely.target_fmr) == (Judgement.INDISTINGUISHABLE, None)
    assert lonely.impostors == 5
    assert "Add photos of more people" in lonely.sentence
    single = judge(contest(sample([1, *[1] * 99]), 0.3, 1.2), max_fmr=0.05, seed=1)
    assert (single.judgement, single.references) == (Judgement.INDISTINGUISHABLE, 0)
    assert "too few photos" in single.sentence


def test_without_an_owner_everybody_is_tried_and_people_are_resampled() -> None:
    made = sample([4] * 40, owner=None)
    result = judge(contest(made, 0.4, 1.2), max_fmr=0.05, seed=1)
    assert (result.judgement, result.unit, result.units) == (Judgement.BETTER, "people", 40)
    assert result.references == 2


def test_chance_of_signs_by_hand() -> None:
    """All of four to one side: 1 of 16; where one of three is opposite and small: 1 of 4."""
    assert flip_chance(np.full(4, -0.2), seed=1) == pytest.approx(1 / 16, abs=0.02)
    assert flip_chance(np.array([1.0, 1.0, -0.1, 0.0]), seed=1) == pytest.approx(1 / 4, abs=0.03)
    assert flip_chance(np.zeros(9), seed=1) == 1
    assert flip_chance(np.full(12, 1.0), seed=1) < 0.002


@pytest.mark.parametrize(("freedom", "point"), [(3, 3.182), (7, 2.365), (15, 2.131), (99, 1.984)])
def test_students_distribution(freedom: int, point: float) -> None:
    assert student(freedom) == pytest.approx(point, rel=0.02)
