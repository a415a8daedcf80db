import numpy as np
import pytest

from app.training.acceptance.contest import comparisons, is_backed
from app.training.acceptance.crowd import Crowd, crowd_of, crowd_pairs
from app.training.acceptance.gate import judge
from app.training.acceptance.paired import backed_target
from app.training.acceptance.rounds import fnmr_rounds
from tests.training.acceptance.scenes import contest, sample

OWNER_AND_STRANGERS = contest(sample([30, *[2] * 80]), 0.6, 1.0)
PEOPLE = np.arange(1, 81)


def test_pairs_are_of_two_strangers_and_each_is_there_once() -> None:
    rows = crowd_pairs(OWNER_AND_STRANGERS, PEOPLE, 30, seed=1)
    people = OWNER_AND_STRANGERS.sample.people
    assert rows.shape == (4, 160 * 159 // 2 - 80)
    assert (people[rows[0]] != people[rows[1]]).all()
    assert 0 not in people[rows[:2]]
    assert len({tuple(sorted(pair)) for pair in rows[:2].T.tolist()}) == rows.shape[1]
    assert (rows[2] == people[rows[0]] - 1 + 30).all()
    crowd = crowd_of(OWNER_AND_STRANGERS.active, rows)
    embeddings = OWNER_AND_STRANGERS.active.photos.embeddings
    best = (embeddings[rows[0]] * embeddings[rows[1]]).sum(axis=1).max()
    assert crowd.scores[0] == pytest.approx(best)
    assert (np.diff(crowd.scores) <= 0).all()


def test_thirty_matches_of_ten_pairs_of_people_back_a_rate() -> None:
    scores = np.linspace(1, 0, 3000).astype(np.float32)
    people = np.arange(3000) % 20
    assert Crowd(scores, people, people + 100).backs(0.01)
    assert not Crowd(scores, people, people + 100).backs(0.009)
    assert not Crowd(scores, people % 9, people % 9 + 100).backs(0.01)
    nobody = np.empty(0, np.intp)
    assert not Crowd(np.empty(0, np.float32), nobody, nobody).backs(0.1)


def test_pairs_of_strangers_support_rates_that_the_owners_impostors_do_not() -> None:
    plan = OWNER_AND_STRANGERS.plan(3, seed=1)
    scores = OWNER_AND_STRANGERS.scores(plan)[0]
    assert not is_backed(plan, OWNER_AND_STRANGERS.sample, scores, 0.005)
    backed = backed_target(OWNER_AND_STRANGERS, plan, 0.005, seed=1)
    assert backed is not None
    assert backed.fmr == 0.005
    assert backed.crowds is not None


def test_the_threshold_is_the_stricter_of_both_in_every_round() -> None:
    plan = OWNER_AND_STRANGERS.plan(1, seed=1)
    found = comparisons(
        plan, OWNER_AND_STRANGERS.sample, OWNER_AND_STRANGERS.scores(plan)[0], given=True
    )
    weights = np.ones((1, 30 + 80))
    alone = fnmr_rounds(found, 0.01, weights)[0]
    numbers = np.full(100, 30), np.full(100, 31)
    lax = Crowd(np.linspace(-0.9, -1, 100).astype(np.float32), *numbers)
    strict = Crowd(np.linspace(1, 0.99, 100).astype(np.float32), *numbers)
    assert fnmr_rounds(found, 0.01, weights, lax)[0] == alone
    assert fnmr_rounds(found, 0.01, weights, strict)[0] > max(alone, 0.9)
    without = np.ones((1, 30 + 80))
    without[0, 30] = 0
    assert np.isnan(fnmr_rounds(found, 0.01, without, strict)[0])


def test_the_gate_says_that_others_backed_its_thresholds() -> None:
    result = judge(OWNER_AND_STRANGERS, max_fmr=0.005, seed=1, rounds=200)
    assert result.target_fmr == 0.005
    assert result.pairs == 160 * 159 // 2 - 80
    assert "no laxer than 12,640 pairs of other people" in result.sentence


def test_wide_embeddings_are_compared_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = crowd_pairs(OWNER_AND_STRANGERS, PEOPLE, 30, seed=1)
    at_once = crowd_of(OWNER_AND_STRANGERS.active, rows)
    monkeypatch.setattr("app.training.acceptance.crowd.AT_ONCE", 16 * 1000)
    parts = crowd_of(OWNER_AND_STRANGERS.active, rows)
    assert np.array_equal(parts.scores, at_once.scores)


def test_of_very_many_people_some_pairs_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.training.acceptance.crowd.MOST_PAIRS", 1000)
    rows = crowd_pairs(OWNER_AND_STRANGERS, PEOPLE, 30, seed=1)
    assert 900 < rows.shape[1] <= 1000
    assert (rows[2] != rows[3]).all()
    assert len(np.unique(rows[:2], axis=1).T) == rows.shape[1]
    people = np.bincount(rows[2:].ravel(), minlength=110)[30:]
    assert people.min() > 0
