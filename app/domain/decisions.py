"""From scores to a decision. One place decides, for the service, the CLI and the evaluation."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from app.domain.calibration import Calibration, estimate
from app.domain.entities import (
    Decision,
    FaceTemplate,
    Floats,
    Policy,
    Verdict,
    Votes,
)
from app.domain.scoring import (
    L1Head,
    ScoreName,
    decision_scores,
    fuse,
    fuse_rows,
    pairwise_scores,
    score_matrix,
)

SEED_DETECTION_THRESHOLD: Final = 0.5
SEED_VERIFICATION_THRESHOLD: Final = 0.5


@dataclass(frozen=True, slots=True)
class VoteRule:
    """The seed tutorial's rule.

    Attributes:
        detection_threshold: A reference votes for a match when its probability exceeds this.
        verification_threshold: The share of votes must exceed this.
    """

    detection_threshold: float = SEED_DETECTION_THRESHOLD
    verification_threshold: float = SEED_VERIFICATION_THRESHOLD


@dataclass(frozen=True, slots=True)
class Decider:
    """What a bundle knows about deciding: score, head, fusion rule, calibration."""

    score: ScoreName
    head: L1Head
    fusion: str
    calibration: Calibration

    def about(self, subject_key: str | None) -> "Decider":
        """What decides about one subject; None for two photos of somebody who is not enrolled.

        They differ only where the calibration is about one subject.
        """
        calibration = self.calibration.about(subject_key)
        return self if calibration is self.calibration else replace(self, calibration=calibration)

    def scores(self, probe: Floats, references: Floats) -> Floats:
        """Decision score per reference: (d,) against (n, d) gives (n,)."""
        return decision_scores(self.score, self.head, probe, references)

    def fused_score(self, probe: Floats, references: Floats) -> float:
        """The score that the calibration prices."""
        return fuse(self.fusion, self.scores(probe, references))

    def pairwise(self, first: Floats, second: Floats) -> Floats:
        """Decision score of each row of one set with the same row of the other: (n, d) to (n,)."""
        return pairwise_scores(self.score, self.head, first, second)

    def fused_scores(self, probes: Floats, references: Floats) -> Floats:
        """`fused_score` of many probes: (m, d) against (n, d) gives (m,)."""
        scores = score_matrix(self.score, self.head, probes, references)
        return fuse_rows(self.fusion, scores)

    def decide(
        self,
        probe: FaceTemplate,
        references: Floats,
        *,
        max_fmr: float,
        vote: VoteRule | None = None,
    ) -> Verdict:
        """Decide whether `probe` shows the person of `references`, shape (n, d), n >= 1.

        With `vote` the seed's rule decides; otherwise the fused score is held against the
        threshold priced at `max_fmr`. A blocking quality reason makes either inconclusive.

        Raises:
            UnsupportedFmrError: If the calibration does not support `max_fmr`.
        """
        scores = self.scores(probe.embedding, references)
        votes = self._votes(probe.embedding, references, vote or VoteRule())
        if vote is None:
            point = self.calibration.operating_point(max_fmr, len(references))
            score, threshold, fmr = fuse(self.fusion, scores), point.threshold, estimate(point)
            accepted = score >= threshold
        else:
            score, threshold, fmr = votes.proportion, vote.verification_threshold, None
            accepted = score > threshold
        return Verdict(
            decision=_decision(probe, accepted=accepted),
            policy=Policy.CALIBRATED if vote is None else Policy.VOTE,
            score=score,
            threshold=threshold,
            fmr=fmr,
            votes=votes,
            reference_scores=scores,
            reasons=probe.quality.reasons,
        )

    def _votes(self, probe: Floats, references: Floats, rule: VoteRule) -> Votes:
        above = np.count_nonzero(
            self.head.probabilities(probe, references) > rule.detection_threshold
        )
        return Votes(
            int(above), len(references), rule.detection_threshold, rule.verification_threshold
        )


def _decision(probe: FaceTemplate, *, accepted: bool) -> Decision:
    if probe.quality.blocking:
        return Decision.INCONCLUSIVE
    return Decision.MATCH if accepted else Decision.NO_MATCH
