from dataclasses import replace

import numpy as np
import pytest

from app.training.acceptance.contest import Contender, Contest
from app.training.acceptance.regression import ENROLLED, STRANGERS, Enrolled, regressions
from app.training.embedding_set import EmbeddingSet
from tests.training.acceptance.scenes import DECIDER, embedded, sample

MADE = sample([8, *[3] * 60])
GALLERY = sample([4] * 30, owner=None)
NAMES = tuple(f"s{person}" for person in GALLERY.people)


def both(strangers: float = 0.4, gallery: float = 0.4) -> tuple[Contest, Enrolled]:
    """The new bundle has so much noise on other people; the active one has 0.4."""
    new = embedded(MADE, strangers, seed=3, own=1)
    old = embedded(MADE, 0.4, seed=3, own=2)
    contest = Contest.of(MADE, Contender("new", DECIDER, new), Contender("old", DECIDER, old))
    enrolled = Enrolled(
        NAMES,
        embedded(GALLERY, gallery, seed=4, own=1),
        embedded(GALLERY, 0.4, seed=4, own=2),
    )
    return contest, enrolled


def test_nothing_is_lost_where_bundles_are_alike() -> None:
    strangers, gallery = regressions(*both(), subject="owner", max_fmr=0.01, seed=1)
    assert (strangers.name, strangers.people, strangers.photos) == (STRANGERS, 60, 180)
    assert (gallery.name, gallery.people, gallery.photos) == (ENROLLED, 30, 120)
    for result in (strangers, gallery):
        assert not result.lost
        assert result.target_fmr == 0.01
        assert "nothing that can be told" in result.sentence


def test_a_loss_is_seen_in_whom_it_meets() -> None:
    strangers, gallery = regressions(*both(1.2, 0.4), subject="owner", max_fmr=0.01, seed=1)
    assert strangers.lost
    assert "60 people lose by the new bundle" in strangers.sentence
    assert strangers.difference is not None
    assert strangers.difference.low > 0
    strangers, gallery = regressions(*both(0.4, 1.2), subject="owner", max_fmr=0.01, seed=1)
    assert not strangers.lost
    assert gallery.lost
    assert gallery.candidate is not None
    assert gallery.active is not None
    assert gallery.candidate.value > gallery.active.value


def test_the_owner_is_no_other_subject() -> None:
    contest, enrolled = both()
    _, gallery = regressions(contest, enrolled, subject="s0", max_fmr=0.01, seed=1)
    assert (gallery.people, gallery.photos) == (29, 116)


def test_few_subjects_are_judged_by_their_photos() -> None:
    contest, enrolled = both(gallery=1.5)
    kept = np.isin(GALLERY.people, [0, 1, 2])
    few = Enrolled(NAMES[:12], enrolled.candidate.subset(kept), enrolled.active.subset(kept))
    _, gallery = regressions(contest, few, subject=None, max_fmr=0.01, seed=1)
    assert gallery.people == 3
    assert gallery.lost


def empty(photos: EmbeddingSet) -> EmbeddingSet:
    """As `collect` gives it where no photo shows a face: embeddings have no dimension."""
    nothing = np.zeros(len(photos.images), np.bool_)
    return replace(
        photos,
        embeddings=np.zeros((len(photos.images), 0), np.float32),
        usable=nothing,
        found=nothing,
    )


@pytest.mark.parametrize("gallery", ["nobody", "unusable"])
def test_nothing_to_compare_is_said(gallery: str) -> None:
    contest, enrolled = both()
    if gallery == "nobody":
        none = np.zeros(len(GALLERY), np.bool_)
        enrolled = Enrolled((), enrolled.candidate.subset(none), enrolled.active.subset(none))
    else:
        enrolled = Enrolled(NAMES, empty(enrolled.candidate), empty(enrolled.active))
    _, result = regressions(contest, enrolled, subject=None, max_fmr=0.01, seed=1)
    assert (result.people, result.target_fmr, result.lost) == (0, None, False)
    assert "nobody has two photos" in result.sentence


def test_a_bundle_that_sees_no_face_where_the_active_one_does_loses() -> None:
    contest, enrolled = both()
    usable = enrolled.candidate.usable.copy()
    usable[::2] = False
    blind = replace(enrolled.candidate, usable=usable)
    _, gallery = regressions(
        contest, replace(enrolled, candidate=blind), subject=None, max_fmr=0.01, seed=1
    )
    assert gallery.lost


def test_too_few_people_set_no_threshold() -> None:
    made = sample([8, *[2] * 4])
    photos = embedded(made, 0.4, seed=3)
    contest = Contest.of(made, Contender("new", DECIDER, photos), Contender("old", DECIDER, photos))
    nobody = Enrolled(
        (), empty(photos).subset(np.zeros(16, np.bool_)), photos.subset(np.zeros(16, np.bool_))
    )
    strangers, _ = regressions(contest, nobody, subject=None, max_fmr=0.01, seed=1)
    assert (strangers.people, strangers.target_fmr) == (4, None)
    assert "too few false matches" in strangers.sentence
