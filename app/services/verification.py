"""Verification: is the person on this photo the person enrolled?"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Final

from app.domain.audit import COMMAND, Action, Actor, AuditEvent
from app.domain.decisions import Decider, VoteRule
from app.domain.entities import (
    Decision,
    FacePolicy,
    FaceTemplate,
    Floats,
    Quality,
    Reason,
    Reference,
    Verdict,
)
from app.domain.errors import FacetwinError
from app.domain.ports import DetectedFaces, FacePipeline
from app.domain.subjects import subject_key
from app.services.audit import AuditLog
from app.services.gallery import Gallery
from app.services.photos import UNUSABLE

STAGES: Final = ("decode", "detect", "align", "embed", "match", "total")
"""Keys of `timing_ms`."""


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """How to decide: at a false match rate, or by the seed tutorial's vote."""

    max_fmr: float
    vote: VoteRule | None = None
    policy: FacePolicy = FacePolicy.PROMINENT


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """A verdict and all that explains it.

    Attributes:
        subject: The stored spelling; None for a comparison of two photos.
        probe: The face that was verified.
        references: In the order of `verdict.reference_scores`; empty for a comparison.
        version: Of the bundle.
        fingerprint: Of the bundle.
        timing_ms: Milliseconds by `STAGES`; `match` is scoring and deciding.
    """

    subject: str | None
    verdict: Verdict
    probe: FaceTemplate
    references: tuple[Reference, ...] = field(repr=False)
    version: str
    fingerprint: str
    timing_ms: Mapping[str, float]


class Verification:
    """Answers from one snapshot of the gallery; safe to use from many threads."""

    def __init__(self, gallery: Gallery, pipeline: FacePipeline, audit: AuditLog) -> None:
        self._gallery = gallery
        self._pipeline = pipeline
        self._audit = audit

    def verify(
        self, data: bytes, subject: str, options: VerifyOptions, actor: Actor = COMMAND
    ) -> VerificationResult:
        """Compare the face on a photo with a subject's references; the audit log tells of it.

        Raises:
            SubjectNotFoundError, NoReferencesError: If there is nothing to compare with.
            UnsupportedFmrError: If the calibration does not support `options.max_fmr` for them.
            NoFaceError, MultipleFacesError: If the photo does not show the face that is meant.
            ImageTooLargeError, UnsupportedMediaTypeError, InvalidImageError: From decoding.
        """
        person = self._audit.pseudonym(subject_key(subject))
        with self._logged(Action.VERIFY, actor, options, person) as outcome:
            result = self._verify(data, subject, options)
            outcome.append(result.verdict.decision)
        return result

    def _verify(self, data: bytes, subject: str, options: VerifyOptions) -> VerificationResult:
        started = perf_counter()
        name, references, matrix = self._gallery.references(subject)
        decider = self._pipeline.decider.about(subject_key(subject))
        _check_support(decider, options, len(references))
        probe = self._pipeline.analyze(data, options.policy)
        verdict, match_ms = _decide(decider, probe, matrix, options)
        return VerificationResult(
            name,
            verdict,
            probe,
            references,
            self._pipeline.version,
            self._pipeline.fingerprint,
            _timing((probe,), match_ms, started),
        )

    def compare(
        self, source: bytes, target: bytes, options: VerifyOptions, actor: Actor = COMMAND
    ) -> VerificationResult:
        """Compare the faces on two photos; `target` takes the place of a single reference.

        A blocking finding on either photo makes the answer inconclusive.

        Raises:
            UnsupportedFmrError: If the calibration does not support `options.max_fmr`.
            NoFaceError, MultipleFacesError: If a photo does not show the face that is meant.
            ImageTooLargeError, UnsupportedMediaTypeError, InvalidImageError: From decoding.
        """
        with self._logged(Action.COMPARE, actor, options, None) as outcome:
            result = self._compare(source, target, options)
            outcome.append(result.verdict.decision)
        return result

    def _compare(self, source: bytes, target: bytes, options: VerifyOptions) -> VerificationResult:
        started = perf_counter()
        decider = self._pipeline.decider.about(None)
        _check_support(decider, options, 1)
        with _naming("source"):
            probe = self._pipeline.analyze(source, options.policy)
        with _naming("target"):
            reference = self._pipeline.analyze(target, options.policy)
        both = replace(probe, quality=_merged(probe.quality, reference.quality))
        verdict, match_ms = _decide(decider, both, reference.embedding[None], options)
        return VerificationResult(
            None,
            verdict,
            probe,
            (),
            self._pipeline.version,
            self._pipeline.fingerprint,
            _timing((probe, reference), match_ms, started),
        )

    def detect(self, data: bytes) -> DetectedFaces:
        """All faces of a photo with their quality; raises what decoding raises."""
        return self._pipeline.detect(data)

    @contextmanager
    def _logged(
        self, action: Action, actor: Actor, options: VerifyOptions, person: str | None
    ) -> Iterator[list[Decision]]:
        """Log the decision that is put into the list, or the code of the error instead."""
        decided: list[Decision] = []
        details = {
            "policy": "vote" if options.vote else "calibrated",
            "max_fmr": None if options.vote else options.max_fmr,
            "model": self._pipeline.version,
        }
        outcome = "internal_error"
        try:
            yield decided
            outcome = decided[0].value
        except FacetwinError as error:
            outcome = error.code
            raise
        finally:
            self._audit.record(AuditEvent(action, actor, person, outcome, details))


def _check_support(decider: Decider, options: VerifyOptions, references: int) -> None:
    """Refuse an unsupported rate before any work on pixels."""
    if options.vote is None:
        decider.calibration.operating_point(options.max_fmr, references)


def _decide(
    decider: Decider, probe: FaceTemplate, references: Floats, options: VerifyOptions
) -> tuple[Verdict, float]:
    started = perf_counter()
    verdict = decider.decide(probe, references, max_fmr=options.max_fmr, vote=options.vote)
    return verdict, _milliseconds(started)


def _merged(source: Quality, target: Quality) -> Quality:
    """Findings of both photos, blocking ones first; each message names its photo."""
    reasons = [
        *(_named(reason, "source") for reason in source.reasons),
        *(_named(reason, "target") for reason in target.reasons),
    ]
    return Quality(source.measures, tuple(sorted(reasons, key=lambda r: not r.blocking)))


def _named(reason: Reason, which: str) -> Reason:
    return replace(reason, message=f"In the {which} photo: {reason.message}")


@contextmanager
def _naming(which: str) -> Iterator[None]:
    """Say in the error which of two photos it is about."""
    try:
        yield
    except UNUSABLE as error:
        message = f"In the {which} photo: {error.message}"
        raise type(error)(message, **error.extra, photo=which) from error


def _timing(
    templates: tuple[FaceTemplate, ...], match_ms: float, started: float
) -> dict[str, float]:
    timing = dict.fromkeys(STAGES, 0.0)
    for template in templates:
        for stage, spent in template.timing_ms.items():
            timing[stage] = timing.get(stage, 0.0) + spent
    timing["match"] = match_ms
    timing["total"] = _milliseconds(started)
    return timing


def _milliseconds(since: float) -> float:
    return (perf_counter() - since) * 1000
