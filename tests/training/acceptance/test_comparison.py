"""Two bundles whose rates are known: cosines of angles in a plane."""

import numpy as np
import pytest

from app.domain.calibration import Calibration
from app.domain.decisions import Decider
from app.domain.entities import Floats
from app.domain.scoring import L1Head, ScoreName
from app.training.acceptance.comparison import Comparison, compare, hardest
from app.training.acceptance.contest import Contender, Contest
from app.training.acceptance.gate import judge
from app.training.acceptance.hardest import ErrorKind, Side
from app.training.embedding_set import EmbeddingSet
from tests.training.acceptance.scenes import contest, sample, without_faces

OWN = 8
STRANGERS = 300
MADE = sample([OWN, *[1] * STRANGERS])
FEW = contest(sample([9, *[1] * 100]), 0.6, 0.8)


def decider(bias: float) -> Decider:
    head = L1Head(np.full(2, 4.0, np.float32), bias)
    return Decider(ScoreName.COSINE, head, "mean", Calibration({}))


def photos(cosines: Floats) -> EmbeddingSet:
    """Photos with these cosines to the first axis."""
    embeddings = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1).astype(np.float32)
    count = len(cosines)
    return EmbeddingSet(
        images=MADE.images,
        identities=MADE.people,
        embeddings=embeddings,
        found=np.ones(count, np.bool_),
        usable=np.ones(count, np.bool_),
        measures=({},) * count,
        reasons=((),) * count,
    )


def cosines(**changed: float) -> Floats:
    """Photos of the owner at 1, strangers evenly from 0 to 0.5; `p3=0.2` changes photo 3."""
    found = np.concatenate([np.ones(OWN), np.linspace(0, 0.5, STRANGERS)]).astype(np.float32)
    for name, value in changed.items():
        found[int(name[1:])] = value
    return found


def both(candidate: EmbeddingSet, active: EmbeddingSet, *, bias: float = 7.0) -> Contest:
    return Contest.of(
        MADE, Contender("new", decider(bias), candidate), Contender("old", decider(bias), active)
    )


@pytest.fixture(scope="module")
def one_lost() -> Comparison:
    """The candidate finds no face in one of the owner's eight photos."""
    lost = without_faces(photos(cosines()), [3])
    return compare(both(lost, photos(cosines())), max_fmr=0.1, seed=1)


def test_a_photo_without_a_face_is_never_a_match(one_lost: Comparison) -> None:
    """Any reference leaves seven photos to try, and one of them fails."""
    rates = one_lost.rates[0]
    assert (rates.references, rates.unit, rates.impostors) == (1, "groups", STRANGERS)
    assert rates.genuine_trials == rates.galleries * (OWN - 1)
    laxest = rates.at_fmr[0].fnmr
    assert laxest is not None
    assert laxest.candidate.value == pytest.approx(1 / 7)
    assert 0 <= laxest.candidate.low < 1 / 7 < laxest.candidate.high
    assert laxest.active.value == 0 < laxest.active.high
    # FNMR is 1/7 at any threshold below 1, and the FMR gets there, in steps of 1/300.
    assert rates.equal_error_rate.candidate.value == pytest.approx(1 / 7, abs=1 / 300)
    assert rates.equal_error_rate.active.value == 0


def test_failures_to_enrol_are_counted_with_their_reasons(one_lost: Comparison) -> None:
    failures = one_lost.candidate.failures
    assert (failures.photos, failures.failed, failures.reasons) == (OWN, 1, {"no_face": 1})
    assert one_lost.active.failures.failed == 0
    assert (one_lost.photos, one_lost.people) == (OWN + STRANGERS, STRANGERS + 1)
    assert (one_lost.groups, one_lost.owner) == (OWN, True)


def test_references_are_one_three_and_half_of_what_there_is(one_lost: Comparison) -> None:
    """Of seven usable photos three are references, so that as many are left to try."""
    assert [each.references for each in one_lost.rates] == [1, 3]
    assert one_lost.shown_references == 3
    few = compare(contest(sample([5, *[1] * 40]), 0.6, 0.8), max_fmr=0.1, seed=1)
    assert [each.references for each in few.rates] == [1, 2]
    many = compare(contest(sample([130, *[1] * 40]), 0.6, 0.8), max_fmr=0.1, seed=1)
    assert [each.references for each in many.rates] == [1, 3, 50]


def test_what_the_owners_impostors_cant_support_other_people_may(one_lost: Comparison) -> None:
    """Of 300 strangers 10 % are thirty, but of their 44,850 pairs 0.1 % are enough."""
    targets = one_lost.rates[0].at_fmr
    assert [each.target_fmr for each in targets] == [0.1, 0.01, 0.001]
    assert [each.pairs for each in targets] == [0, 44_850, 44_850]
    assert targets[0].difference is not None
    assert targets[0].difference.value == pytest.approx(1 / 7)
    for each in targets[:2]:
        assert each.reason is None
        assert each.fnmr is not None
        assert each.fnmr.candidate.value == pytest.approx(1 / 7)


def test_no_rate_is_stated_that_too_few_people_support() -> None:
    """A hundred strangers make 4,950 pairs, of which 0.1 % are four."""
    found = compare(FEW, max_fmr=0.02, seed=1)
    targets = found.rates[0].at_fmr
    assert [each.target_fmr for each in targets] == [0.02, 0.01, 0.001]
    assert [each.fnmr is not None for each in targets] == [True, True, False]
    assert targets[2].difference is None
    assert targets[2].reason is not None
    assert "0.1 %" in targets[2].reason
    judged = judge(FEW, max_fmr=0.02, seed=1)
    assert judged.candidate is not None
    told = found.rates[1].at_fmr[0].fnmr
    assert found.rates[1].references == judged.references == 3
    assert told is not None
    assert told.candidate.value == judged.candidate.value


def test_the_rate_that_the_gate_compares_by_is_told() -> None:
    """Of 4,950 pairs 0.2 % are nine, 0.5 % are 24, and 1 % are enough."""
    found, judged = compare(FEW, max_fmr=0.002, seed=1), judge(FEW, max_fmr=0.002, seed=1)
    assert judged.target_fmr == 0.01
    fmrs = [each.target_fmr for each in found.rates[1].at_fmr]
    assert fmrs == [0.01, 0.002, 0.001]
    lax = compare(contest(sample([9, *[1] * 40]), 0.6, 0.8), max_fmr=0.001, seed=1)
    assert lax.candidate.histogram is not None
    assert lax.candidate.histogram.fmr == 0.05
    assert [each.target_fmr for each in lax.rates[0].at_fmr] == [0.05, 0.01, 0.001]


@pytest.mark.parametrize(("bias", "precision"), [(3.0, 1.0), (7.0, 0.5)])
def test_votes_as_the_tutorial_counts_them(bias: float, precision: float) -> None:
    """A stranger is 4 * (1 - cos + sin) from the owner: 3.46 for the nearest, 4 at least for most.

    At a bias of 3 the head accepts none of them, at 7 it accepts them all; the owner is at 0.
    """
    near = cosines()
    near[OWN:] = 0.5
    found = compare(both(photos(near), photos(near), bias=bias), max_fmr=0.1, seed=1)
    votes = found.rates[0].votes
    assert votes.candidate.recall.value == votes.active.recall.value == 1
    assert votes.candidate.precision is not None
    assert votes.candidate.precision.value == pytest.approx(precision)


def test_a_head_that_accepts_nothing_has_no_precision() -> None:
    found = compare(both(photos(cosines()), photos(cosines()), bias=-1), max_fmr=0.1, seed=1)
    votes = found.rates[0].votes.candidate
    assert (votes.precision, votes.recall.value) == (None, 0)


def test_histograms_and_curves(one_lost: Comparison) -> None:
    drawn = one_lost.candidate.histogram
    assert drawn is not None
    assert len(drawn.edges) == len(drawn.genuine) + 1 == len(drawn.impostor) + 1 <= 201
    assert (drawn.edges[0], drawn.edges[-1]) == (0, 1)
    assert drawn.genuine[-1] == 1
    assert sum(drawn.impostor) == pytest.approx(1, abs=1e-4)
    assert max(edge for edge, own in zip(drawn.edges, drawn.impostor, strict=False) if own) <= 0.5
    assert drawn.not_scored == one_lost.rates[1].galleries
    assert drawn.fmr == 0.1
    assert drawn.threshold == pytest.approx(0.5 * 0.9, abs=2e-3)
    curve = one_lost.candidate.curve
    assert curve is not None
    assert len(curve.fmr) == len(curve.fnmr) <= 200
    assert set(curve.fnmr[:-1]) == {0.2}  # one of the five that three references leave
    assert curve.drawn().fmr.tolist() == curve.fmr
    # Ten percent of the strangers are thirty, however many galleries they are tried against.
    assert max(each for each in curve.fmr if each < 0.1) == pytest.approx(curve.supported, rel=1e-3)


def test_everybody_where_there_is_no_owner() -> None:
    found = compare(contest(sample([4] * 40, owner=None), 0.4, 1.2), max_fmr=0.1, seed=1)
    assert [each.references for each in found.rates] == [1, 2]
    assert (found.rates[0].unit, found.rates[0].units, found.owner) == ("people", 40, False)
    assert found.groups == 160
    better, worse = (
        getattr(found.rates[1].equal_error_rate, name) for name in ("candidate", "active")
    )
    assert better.value < worse.value


@pytest.mark.parametrize("photos_of", [[1, *[1] * 40], [9]])
def test_nothing_to_compare_by_is_said(photos_of: list[int]) -> None:
    """One photo of the owner; or no strangers."""
    found = compare(contest(sample(photos_of), 0.4, 1.2), max_fmr=0.1, seed=1)
    assert found.rates == []
    assert found.note is not None
    assert (found.candidate.histogram, found.active.curve) == (None, None)
    assert hardest(contest(sample(photos_of), 0.4, 1.2), seed=1) == []


def test_the_figures_are_plain_json_and_come_back() -> None:
    found = compare(contest(sample([9, *[1] * 40]), 0.6, 0.8), max_fmr=0.1, seed=1)
    assert Comparison.model_validate_json(found.model_dump_json()) == found


def test_the_worst_errors_take_turns_and_the_candidates_come_first() -> None:
    """Photo 3 is like nobody; stranger 50 is the owner's twin, to the candidate only."""
    changed = photos(cosines(p3=0.2, p50=0.97))
    errors = hardest(both(changed, photos(cosines())), seed=1, fmr=0.1)
    assert [each.bundle for each in errors] == [Side.CANDIDATE] * 8 + [Side.ACTIVE] * 4
    missed, matched = errors[:2]
    assert (missed.kind, missed.probe) == (ErrorKind.FALSE_NON_MATCH, 3)
    assert missed.score == pytest.approx(0.2, abs=1e-5)
    assert missed.score < missed.threshold < matched.score
    assert (matched.kind, matched.probe) == (ErrorKind.FALSE_MATCH, 50)
    assert matched.score == pytest.approx(0.97, abs=1e-5)
    assert {each.kind for each in errors[2:]} == {ErrorKind.FALSE_MATCH}
    assert len({(each.bundle, each.probe) for each in errors}) == 12
    assert errors[8].probe == OWN + STRANGERS - 1
    assert all(MADE.people[each.reference] == 0 for each in errors)
    assert {each.references for each in errors} == {3}
    assert errors[0].fmr == 0.1


def test_the_reference_shown_is_the_closest_one() -> None:
    """Photo 1 is far from the owner's others, and stranger 60 is just there."""
    made = both(photos(cosines(p1=0.6, p60=0.6)), photos(cosines()))
    errors = hardest(made, seed=1, fmr=0.1, most=400)
    (twin,) = [each for each in errors if each.probe == 60 and each.bundle is Side.CANDIDATE]
    assert (twin.kind, twin.reference) == (ErrorKind.FALSE_MATCH, 1)


def test_photos_without_a_face_are_not_shown() -> None:
    lost = without_faces(photos(cosines()), [3])
    errors = hardest(both(lost, photos(cosines())), seed=1, fmr=0.1)
    assert all(each.kind is ErrorKind.FALSE_MATCH for each in errors)


def test_an_unsupported_rate_is_replaced_by_the_strictest_that_is() -> None:
    errors = hardest(FEW, seed=1)
    assert {each.fmr for each in errors} == {0.01}
