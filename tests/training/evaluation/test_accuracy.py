import numpy as np
import pytest

from app.training.evaluation.accuracy import (
    ScoredPairs,
    best_threshold,
    cross_validated,
    drawn_folds,
)
from app.training.evaluation.curves import FAILED


def pairs(scores: list[float], same: list[int], failed: tuple[int, ...] = ()) -> ScoredPairs:
    count = len(scores)
    usable = np.ones(count, np.bool_)
    usable[list(failed)] = False
    flags = np.array(same, np.bool_)
    first = np.arange(count)
    return ScoredPairs(
        np.array(scores, np.float32), flags, usable, first, np.where(flags, first, first + 1)
    )


@pytest.mark.parametrize(
    ("scores", "same", "right"),
    [
        ([0.1, 0.8, 0.9], [True, False, False], 2),
        ([0.5, 0.5, 0.5, 0.5, 0.5, 0.9], [False, False, False, True, True, True], 4),
        ([0.3, 0.4], [True, True], 2),
    ],
    ids=["nothing matches", "equal scores", "everything matches"],
)
def test_the_best_threshold_gives_the_most_right_answers(
    scores: list[float], same: list[bool], right: int
) -> None:
    told = np.array(scores, np.float32)
    threshold = best_threshold(told, np.array(same))
    assert np.count_nonzero((told >= threshold) == np.array(same)) == right


def test_the_best_threshold_lies_in_the_middle_of_its_gap() -> None:
    listed = pairs([0.1, 0.2, 0.6, 0.8], [0, 0, 1, 1])
    assert best_threshold(listed.scores, listed.same) == pytest.approx(0.4)


def test_each_fold_is_judged_by_the_others() -> None:
    # Fold 0 alone would choose 0.5; fold 1 chooses 0.85 and turns one genuine pair of fold 0 away.
    listed = pairs([0.4, 0.6, 0.8, 0.9], [0, 1, 0, 1])
    result = cross_validated(listed, np.array([0, 0, 1, 1]))
    assert result.folds == (0.5, 0.5)
    assert result.right.tolist() == [True, False, False, True]
    assert (result.accuracy, result.standard_error) == (0.5, 0)


@pytest.mark.parametrize("failed", [0, 1])
def test_a_pair_that_failed_is_wrong_whatever_its_score(failed: int) -> None:
    listed = pairs([0.1, 0.9, 0.2, 0.8] * 2, [0, 1, 0, 1] * 2, (failed,))
    assert listed.right_at(0.5).tolist() == [i != failed for i in range(8)]
    result = cross_validated(listed, np.arange(8) // 4)
    assert result.right.tolist() == [i != failed for i in range(8)]
    assert result.folds == (0.75, 1.0)
    assert listed.made().right_at(0.5).all()
    assert len(listed.made().scores) == 7


def test_pairs_as_comparisons() -> None:
    made = pairs([0.1, 0.9, 0.2, 0.8], [0, 1, 0, 1], (0, 1)).comparisons()
    assert made.genuine.tolist() == [FAILED, np.float32(0.8)]
    assert made.owners.tolist() == [1, 3]
    assert made.impostor.tolist() == [np.float32(0.2)]
    assert (made.first.tolist(), made.second.tolist()) == ([2], [3])


def test_folds_hold_as_many_pairs_of_each_kind_as_can_be() -> None:
    same = np.arange(100) < 35
    fold = drawn_folds(same, 10, seed=1)
    assert set(fold.tolist()) == set(range(10))
    for kind in (same, ~same):
        counts = np.bincount(fold[kind])
        assert counts.max() - counts.min() <= 1
    assert (fold == drawn_folds(same, 10, seed=1)).all()
    assert (fold != drawn_folds(same, 10, seed=2)).any()
    assert drawn_folds(np.arange(20) < 3, 10, seed=1).max() == 2
