import numpy as np
import pytest

from app.domain.scoring import (
    L1Head,
    ScoreName,
    decision_scores,
    fuse,
    fuse_rows,
    pairwise_scores,
    score_matrix,
    sigmoid,
)

HEAD = L1Head(np.array([2.0, 0.5], np.float32), 1.5)
PROBE = np.array([1.0, 0.0], np.float32)
REFERENCES = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], np.float32)


def test_the_logit_is_the_bias_minus_the_weighted_distance() -> None:
    assert HEAD.logits(PROBE, REFERENCES) == pytest.approx([1.5, 1.5 - 2.5, 1.5 - 0.8 - 0.4])


def test_probabilities_are_the_sigmoid_of_the_logits() -> None:
    expected = 1 / (1 + np.exp(-HEAD.logits(PROBE, REFERENCES)))
    assert HEAD.probabilities(PROBE, REFERENCES) == pytest.approx(expected)


def test_sigmoid_does_not_overflow() -> None:
    assert sigmoid(np.array([-1e4, 0, 1e4], np.float32)).tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("weights", [[-0.1, 1.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_a_head_with_weights_that_are_not_a_distance_is_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="non-negative"):
        L1Head(np.array(weights, np.float32), 0.0)


def test_cosine_of_unit_vectors() -> None:
    scores = decision_scores(ScoreName.COSINE, HEAD, PROBE, REFERENCES)
    assert scores == pytest.approx([1.0, 0.0, 0.6])


def test_a_common_face_has_to_be_more_alike() -> None:
    rare, common = np.array([[0.6, 0.8, 0.1], [0.6, 0.8, 0.3]], np.float32)
    probe = np.array([1.0, 0.0, 0.2], np.float32)
    scores = decision_scores(ScoreName.NORMALISED_COSINE, HEAD, probe, np.stack([rare, common]))
    assert scores == pytest.approx([0.6 - 0.1 - 0.2, 0.6 - 0.3 - 0.2])


@pytest.mark.parametrize("name", list(ScoreName))
def test_rows_score_as_one_by_one(name: ScoreName) -> None:
    found = pairwise_scores(name, HEAD, REFERENCES, REFERENCES[::-1])
    each = [
        decision_scores(name, HEAD, first, second[None])[0]
        for first, second in zip(REFERENCES, REFERENCES[::-1], strict=True)
    ]
    assert found == pytest.approx(each)


@pytest.mark.parametrize("name", list(ScoreName))
def test_many_probes_score_as_one_by_one(name: ScoreName) -> None:
    probes = np.stack([PROBE, REFERENCES[2]])
    matrix = score_matrix(name, HEAD, probes, REFERENCES)
    rows = [decision_scores(name, HEAD, probe, REFERENCES) for probe in probes]
    assert matrix == pytest.approx(np.stack(rows))


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [("mean", 0.4), ("median", 0.3), ("max", 0.9), ("best_half", 0.6)],
)
def test_fusion_rules(fusion: str, expected: float) -> None:
    assert fuse(fusion, np.array([0.1, 0.9, 0.3, 0.3], np.float32)) == pytest.approx(expected)


@pytest.mark.parametrize("fusion", ["mean", "median", "max", "best_half"])
def test_one_reference_fuses_to_its_own_score(fusion: str) -> None:
    assert fuse(fusion, np.array([0.25], np.float32)) == pytest.approx(0.25)


def test_rows_fuse_as_one_by_one() -> None:
    scores = np.random.default_rng(0).random((4, 5)).astype(np.float32)
    assert fuse_rows("best_half", scores) == pytest.approx([fuse("best_half", r) for r in scores])


def test_nothing_to_fuse_and_unknown_rules_are_refused() -> None:
    with pytest.raises(ValueError, match="no scores"):
        fuse("mean", np.empty(0, np.float32))
    with pytest.raises(ValueError, match="unknown fusion"):
        fuse("vote", np.ones(2, np.float32))
