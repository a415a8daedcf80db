from dataclasses import replace

import numpy as np
import pytest

from app.training.acceptance import rounds
from app.training.acceptance.contest import (
    Contest,
    GivenSubjects,
    comparisons,
    is_backed,
)
from app.training.acceptance.rounds import fnmr_rounds
from app.training.acceptance.trials import drawn_plan
from app.training.evaluation.curves import Comparisons, error_curve, resampled
from app.training.metrics import bootstrap_weights
from tests.training.acceptance.scenes import contest, sample

BOTH = contest(sample([9, *[1] * 40]), 0.6, 0.8)


def found(*, given: bool, references: int = 2) -> Comparisons:
    plan = BOTH.plan(references, seed=1)
    return comparisons(plan, BOTH.sample, BOTH.scores(plan)[0], given=given)


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("fmr", [0, 0.01, 0.1, 1])
def test_many_rounds_at_once_are_the_same_as_one_by_one(given: bool, fmr: float) -> None:
    made = found(given=given)
    weights = made.weights(40, 1)
    one_by_one = [float(curve.fnmr(curve.thresholds_at(fmr))) for curve in resampled(made, weights)]
    drawn = fnmr_rounds(made, fmr, weights)
    assert drawn[~np.isnan(drawn)] == pytest.approx(one_by_one)
    assert len(one_by_one) > 20


@pytest.mark.parametrize("given", [True, False])
def test_where_many_match_all_scores_are_looked_at(
    given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = found(given=given)
    weights = made.weights(40, 1)
    at_once = fnmr_rounds(made, 0.3, weights)
    monkeypatch.setattr(rounds, "AHEAD", 0)
    assert np.array_equal(fnmr_rounds(made, 0.3, weights), at_once, equal_nan=True)


def test_without_resampling_the_weights_change_nothing() -> None:
    made = found(given=True)
    assert isinstance(made, GivenSubjects)
    numbers = made.members.shape[1] + 40
    own, strangers = made.weigh(np.ones(numbers))
    assert own.tolist() == [1] * len(made.genuine)
    assert strangers.tolist() == [1] * len(made.impostor)
    rates = fnmr_rounds(made, 0.1, np.ones((1, numbers)))
    curve = error_curve(made)
    assert rates[0] == pytest.approx(float(curve.fnmr(curve.thresholds_at(0.1))))


def test_a_gallery_counts_only_if_its_references_were_drawn() -> None:
    made = found(given=True)
    assert isinstance(made, GivenSubjects)
    drawn = np.ones(made.members.shape[1] + 40)
    drawn[0], drawn[1] = 0, 2
    own, strangers = made.weigh(drawn)
    without, twice = made.members[:, 0], made.members[:, 1]
    assert not own[without[made.galleries] & ~twice[made.galleries]].any()
    assert not own[made.owners == 0].any()
    assert set(strangers[twice[made.first] & ~without[made.first]]) == {2.0}
    assert made.members.sum(axis=1).tolist() == [2] * len(made.members)


def test_every_round_draws_as_many_photos_and_people_as_there_are() -> None:
    weights = found(given=True).weights(30, 1)
    assert set(weights[:, :9].sum(axis=1)) == {9.0}
    assert set(weights[:, 9:].sum(axis=1)) == {40.0}


def test_the_bundles_are_tried_on_the_test_side_only_and_on_what_both_can_use() -> None:
    made = sample([9, *[1] * 40], validation=0.25)
    one = contest(made, 0.6, 0.8)
    assert one.sample.people.max() == 30
    assert len(one.candidate.photos.images) == len(one.sample) == 39
    usable = one.active.photos.usable.copy()
    usable[[2, 20]] = False
    active = replace(one.active, photos=replace(one.active.photos, usable=usable))
    plan = replace(one, active=active).plan(2, seed=1)
    assert not {2, 20} & set(np.concatenate(plan.galleries).tolist())
    assert 2 in plan.probes
    assert 20 not in plan.probes
    with pytest.raises(ValueError, match="other photos"):
        Contest.of(made, one.candidate, one.active)


def test_backed_by_enough_photos_of_enough_people() -> None:
    made = sample([2, *[3] * 60])
    plan = drawn_plan(made, np.ones(len(made), np.bool_), np.array([0]), (1, 1), draws=4, seed=1)
    genuine = plan.genuine(made)

    def scores(photos: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        # The same few photos are the most alike in every draw.
        found = np.linspace(0, 0.1, len(plan)).astype(np.float32)
        found[plan.probes < 2 + photos] += 1
        found[genuine] = 0
        return found

    assert is_backed(plan, made, scores(30), 30 / 180)
    assert not is_backed(plan, made, scores(29), 29 / 180)
    few = sample([2, *[20] * 9])
    crowd = drawn_plan(few, np.ones(len(few), np.bool_), np.array([0]), (1, 1), draws=4, seed=1)
    assert not is_backed(crowd, few, np.linspace(0, 1, len(crowd)).astype(np.float32), 0.9)


def test_owner_or_everybody() -> None:
    everybody = contest(sample([4] * 12, owner=None), 0.6, 0.8)
    assert everybody.subjects.tolist() == list(range(12))
    assert everybody.most_references() == 2
    assert BOTH.subjects.tolist() == [0]
    assert BOTH.most_references() == 4
    assert bootstrap_weights(3, 2, 1).shape == (2, 3)
