from dataclasses import replace

import numpy as np
import pytest

from app.domain.calibration import BUCKETS, Calibration, OperatingPoint
from app.domain.decisions import Decider, VoteRule
from app.domain.entities import (
    Box,
    Decision,
    Face,
    FaceTemplate,
    Landmarks,
    Policy,
    Quality,
    Reason,
    ReasonCode,
)
from app.domain.scoring import L1Head, ScoreName

POINT = OperatingPoint(0.01, 0.8, 0.009, (0.005, 0.013), 0.1, (0.05, 0.15), 90, 40)
DECIDER = Decider(
    ScoreName.COSINE,
    L1Head(np.array([4.0, 4.0], np.float32), 2.0),
    "mean",
    Calibration(dict.fromkeys(BUCKETS, (POINT,))),
)
FACE = Face(Box(0, 0, 50, 60), Landmarks((10, 20), (30, 20), (20, 30), (12, 42), (28, 42)), 0.99)


def probe(x: float, reasons: tuple[Reason, ...] = ()) -> FaceTemplate:
    embedding = np.array([x, np.sqrt(1 - x * x)], np.float32)
    return FaceTemplate(FACE, Quality({}, reasons), embedding, 1)


def references(*xs: float) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.array([[x, np.sqrt(1 - x * x)] for x in xs], np.float32)


def test_at_the_threshold_it_is_a_match_and_below_it_is_not() -> None:
    assert DECIDER.decide(probe(1.0), references(0.8), max_fmr=0.01).decision is Decision.MATCH
    below = DECIDER.decide(probe(1.0), references(0.79), max_fmr=0.01)
    assert below.decision is Decision.NO_MATCH
    assert not below.verified


def test_the_verdict_carries_its_price() -> None:
    verdict = DECIDER.decide(probe(1.0), references(0.9, 1.0), max_fmr=0.02)
    assert verdict.policy is Policy.CALIBRATED
    assert verdict.score == pytest.approx(0.95)
    assert verdict.threshold == 0.8
    assert verdict.fmr is not None
    assert (verdict.fmr.target, verdict.fmr.estimated) == (0.01, 0.009)
    assert verdict.reference_scores == pytest.approx([0.9, 1.0])


def test_a_blocking_reason_makes_any_score_inconclusive() -> None:
    dark = Reason(ReasonCode.TOO_DARK, "too dark", 10, 40, blocking=True)
    for vote in (None, VoteRule()):
        verdict = DECIDER.decide(probe(1.0, (dark,)), references(1.0), max_fmr=0.01, vote=vote)
        assert verdict.decision is Decision.INCONCLUSIVE
        assert not verdict.verified
        assert verdict.reasons == (dark,)


def test_an_advisory_reason_does_not() -> None:
    advice = Reason(ReasonCode.MULTIPLE_FACES, "two", 0.7, 0.5, blocking=False)
    verdict = DECIDER.decide(probe(1.0, (advice,)), references(1.0), max_fmr=0.01)
    assert verdict.decision is Decision.MATCH


def test_votes_count_probabilities_over_the_detection_threshold() -> None:
    # Equal embeddings have probability sigmoid(2) = 0.88, opposite ones almost 0.
    verdict = DECIDER.decide(
        probe(1.0), references(1.0, 1.0, -1.0), max_fmr=0.01, vote=VoteRule(0.5, 0.6)
    )
    assert verdict.policy is Policy.VOTE
    assert verdict.fmr is None
    assert (verdict.votes.above, verdict.votes.references) == (2, 3)
    assert verdict.score == pytest.approx(2 / 3)
    assert verdict.decision is Decision.MATCH


def test_the_share_of_votes_must_exceed_the_threshold_not_reach_it() -> None:
    verdict = DECIDER.decide(
        probe(1.0), references(1.0, -1.0), max_fmr=0.01, vote=VoteRule(0.5, 0.5)
    )
    assert verdict.decision is Decision.NO_MATCH


def test_fused_scores_of_many_probes_equal_one_by_one() -> None:
    probes = references(1.0, 0.5, -0.2)
    enrolled = references(0.9, 0.1, 0.4)
    expected = [DECIDER.fused_score(p, enrolled) for p in probes]
    assert DECIDER.fused_scores(probes, enrolled) == pytest.approx(expected)
    assert DECIDER.pairwise(probes, enrolled) == pytest.approx(
        [DECIDER.scores(p, e[None])[0] for p, e in zip(probes, enrolled, strict=True)]
    )


def test_a_decider_about_another_subject_decides_by_what_holds_for_others() -> None:
    strict = replace(POINT, threshold=0.9)
    own = Calibration(
        dict.fromkeys(BUCKETS, (POINT,)), subject="anna", others=dict.fromkeys(BUCKETS, (strict,))
    )
    decider = replace(DECIDER, calibration=own)
    decided = {
        about: decider.about(about).decide(probe(1.0), references(0.85), max_fmr=0.01).decision
        for about in ("anna", "bert", None)
    }
    assert decided == {"anna": Decision.MATCH, "bert": Decision.NO_MATCH, None: Decision.NO_MATCH}
    assert DECIDER.about("bert") is DECIDER
