import numpy as np
import pytest

from app.domain.calibration import BUCKETS, Calibration
from app.domain.decisions import VoteRule
from app.domain.entities import Decision, FacePolicy, Policy, ReasonCode
from app.domain.errors import (
    InvalidImageError,
    MultipleFacesError,
    NoFaceError,
    NoReferencesError,
    SubjectNotFoundError,
    UnsupportedFmrError,
)
from app.services.verification import STAGES, VerifyOptions
from tests.dummy_pipeline import DummyPipeline, operating_points, photo
from tests.services.world import OPTIONS, Session, World


@pytest.fixture
def enrolled(session: Session) -> Session:
    session.enroll("Alice", *(photo("alice", i) for i in range(4)))
    return session


def test_the_person_matches_and_a_stranger_does_not(enrolled: Session) -> None:
    result = enrolled.verify("alice", photo("alice", "probe"))
    assert result.verdict.decision is Decision.MATCH
    assert result.verdict.policy is Policy.CALIBRATED
    assert result.subject == "Alice"
    assert len(result.references) == len(result.verdict.reference_scores) == 4
    assert (result.version, result.fingerprint) == ("dummy-1", "d" * 64)
    assert result.verdict.fmr is not None
    assert result.verdict.fmr.target == 0.001
    stranger = enrolled.verify("alice", photo("bob"))
    assert stranger.verdict.decision is Decision.NO_MATCH


def test_every_stage_is_timed(enrolled: Session) -> None:
    timing = enrolled.verify("alice", photo("alice")).timing_ms
    assert tuple(timing) == STAGES
    assert timing["total"] >= sum(timing[stage] for stage in STAGES if stage != "total")


def test_a_blocking_finding_is_inconclusive(enrolled: Session) -> None:
    verdict = enrolled.verify("alice", photo("alice", quality=0.1)).verdict
    assert verdict.decision is Decision.INCONCLUSIVE
    assert not verdict.verified
    assert ReasonCode.TOO_BLURRY in {reason.code for reason in verdict.reasons}


def test_the_vote_policy(enrolled: Session) -> None:
    options = VerifyOptions(max_fmr=0.001, vote=VoteRule(0.5, 0.7))
    verdict = enrolled.verification.verify(photo("alice", "probe"), "alice", options).verdict
    assert verdict.policy is Policy.VOTE
    assert (verdict.score, verdict.threshold, verdict.fmr) == (1.0, 0.7, None)
    assert verdict.verified


def test_errors_of_the_probe(enrolled: Session) -> None:
    with pytest.raises(NoFaceError):
        enrolled.verify("alice", photo("alice", faces=0))
    with pytest.raises(InvalidImageError):
        enrolled.verify("alice", b"damaged")
    single = VerifyOptions(max_fmr=0.001, policy=FacePolicy.SINGLE)
    with pytest.raises(MultipleFacesError):
        enrolled.verification.verify(photo("alice", faces=2), "alice", single)


def test_errors_of_the_subject(world: World, enrolled: Session) -> None:
    with pytest.raises(SubjectNotFoundError):
        enrolled.verify("bob", photo("bob"))
    with pytest.raises(NoReferencesError):
        enrolled.verify("default", photo("bob"))
    world.put("carol/blurred.jpg", photo("carol", quality=0.1))
    enrolled.gallery.sync()
    with pytest.raises(NoReferencesError):
        enrolled.verify("Carol", photo("carol"))


def test_an_unsupported_rate_is_refused_before_work_on_pixels(enrolled: Session) -> None:
    before = enrolled.pipeline.analyzed
    strict = VerifyOptions(max_fmr=1e-6)
    with pytest.raises(UnsupportedFmrError):
        enrolled.verification.verify(photo("alice"), "alice", strict)
    with pytest.raises(UnsupportedFmrError):
        enrolled.verification.compare(photo("alice"), photo("alice", 1), strict)
    assert enrolled.pipeline.analyzed == before


def test_comparing_two_photos_stores_nothing(world: World, session: Session) -> None:
    same = session.verification.compare(photo("alice"), photo("alice", 1), OPTIONS)
    assert same.verdict.verified
    assert (same.subject, same.references) == (None, ())
    assert len(same.verdict.reference_scores) == 1
    other = session.verification.compare(photo("alice"), photo("bob"), OPTIONS)
    assert other.verdict.decision is Decision.NO_MATCH
    assert session.gallery.subjects() == []
    assert world.files() == []


def test_findings_of_both_photos_count(session: Session) -> None:
    good, dark, blurred = (photo("alice", quality=q) for q in (0.9, 0.5, 0.1))
    verdict = session.verification.compare(dark, blurred, OPTIONS).verdict
    assert verdict.decision is Decision.INCONCLUSIVE
    assert [r.message.split(":")[0] for r in verdict.reasons] == [
        "In the target photo",
        "In the source photo",
        "In the target photo",
    ]
    result = session.verification.compare(good, blurred, OPTIONS)
    assert result.verdict.decision is Decision.INCONCLUSIVE
    assert result.probe.quality.reasons == ()
    assert session.verification.compare(good, dark, OPTIONS).verdict.verified


def test_an_error_names_the_photo(session: Session) -> None:
    with pytest.raises(NoFaceError, match="target") as caught:
        session.verification.compare(photo("alice"), photo("alice", faces=0), OPTIONS)
    assert caught.value.extra["photo"] == "target"
    with pytest.raises(InvalidImageError, match="source"):
        session.verification.compare(b"damaged", photo("alice"), OPTIONS)


def test_detect_lists_faces(session: Session) -> None:
    assert len(session.verification.detect(photo("alice", faces=3)).faces) == 3


def test_references_cannot_be_altered(enrolled: Session) -> None:
    _, references, matrix = enrolled.gallery.references("alice")
    assert matrix.flags.c_contiguous
    assert matrix.dtype == np.float32
    for array in (matrix, references[0].embedding):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.fixture
def about_alice(world: World) -> Session:
    """The calibration is about Alice; of others only a lax rate is known."""
    points = operating_points()
    calibration = Calibration(
        dict.fromkeys(BUCKETS, points), subject="alice", others=dict.fromkeys(BUCKETS, points[:2])
    )
    session = world.open(DummyPipeline(calibration=calibration))
    for name in ("Alice", "Bert"):
        session.enroll(name, *(photo(name.lower(), i) for i in range(4)))
    return session


def test_a_bundle_about_one_subject_prices_that_one(about_alice: Session) -> None:
    assert about_alice.verify("ALICE", photo("alice", "probe")).verdict.verified


def test_for_another_subject_it_says_what_it_does_not_know(about_alice: Session) -> None:
    with pytest.raises(UnsupportedFmrError, match="calibrated on the subject alice only"):
        about_alice.verify("Bert", photo("bert", "probe"))
    lax = VerifyOptions(max_fmr=0.01)
    assert about_alice.verification.verify(photo("bert", "probe"), "Bert", lax).verdict.verified


def test_two_photos_are_compared_by_what_holds_for_anyone(about_alice: Session) -> None:
    pair = photo("alice"), photo("alice", 1)
    with pytest.raises(UnsupportedFmrError, match="alice only"):
        about_alice.verification.compare(*pair, OPTIONS)
    assert about_alice.verification.compare(*pair, VerifyOptions(max_fmr=0.01)).verdict.verified
