from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.domain.entities import FacePolicy
from app.domain.training import EnrolledPhoto, Role
from app.training.acceptance.contest import Contender, Contest
from app.training.acceptance.regression import (
    ENROLLED,
    STRANGERS,
    Enrolled,
    _strangers,
    _with_enrolled,
    _without,
    embed_enrolled,
    namesakes,
    regressions,
)
from app.training.data.photos import TrainingPhoto
from app.training.embedding_set import EmbeddingSet
from tests.dummy_pipeline import DummyPipeline, photo
from tests.training.acceptance.scenes import DECIDER, embedded, sample
from tests.training.data.folders import Ear

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
    strangers, gallery = regressions(*both(), max_fmr=0.01, seed=1)
    assert (strangers.name, strangers.people, strangers.photos) == (STRANGERS, 60, 180)
    assert (gallery.name, gallery.people, gallery.photos) == (ENROLLED, 30, 120)
    for result in (strangers, gallery):
        assert not result.lost
        assert result.target_fmr == 0.01
        assert "nothing that can be told" in result.sentence


def test_a_loss_is_seen_in_whom_it_meets() -> None:
    strangers, gallery = regressions(*both(1.2, 0.4), max_fmr=0.01, seed=1)
    assert strangers.lost
    assert "60 people lose by the new bundle" in strangers.sentence
    assert strangers.difference is not None
    assert strangers.difference.low > 0
    strangers, gallery = regressions(*both(0.4, 1.2), max_fmr=0.01, seed=1)
    assert not strangers.lost
    assert gallery.lost
    assert gallery.candidate is not None
    assert gallery.active is not None
    assert gallery.candidate.value > gallery.active.value


def test_the_owners_references_are_counted_and_nobody_elses_are_left_out() -> None:
    people = [("Anna", 3), ("bea", 2), ("carl", 2), ("dora", 2)]
    photos = [
        EnrolledPhoto(name, photo(name, variant), FacePolicy.PROMINENT)
        for name, count in people
        for variant in range(count)
    ]
    new, old = DummyPipeline(version="new"), DummyPipeline(version="old")
    all_of_them = embed_enrolled(photos, new, old, Ear(), owner="anna")
    assert (all_of_them.own, set(all_of_them.subjects)) == (3, {"bea", "carl", "dora"})
    assert new.analyzed == old.analyzed == len(all_of_them.candidate.images) == 6
    ear = Ear()
    some = embed_enrolled(reversed(photos), new, old, ear, owner="anna", most=3)
    assert (some.own, some.subjects) == (3, ("dora", "dora", "carl", "carl"))
    assert ear.lines == ["Of the enrolled photos 4 were looked at."]


def test_few_subjects_are_judged_by_their_photos() -> None:
    contest, enrolled = both(gallery=1.5)
    kept = np.isin(GALLERY.people, [0, 1, 2])
    few = Enrolled(NAMES[:12], enrolled.candidate.subset(kept), enrolled.active.subset(kept))
    _, gallery = regressions(contest, few, max_fmr=0.01, seed=1)
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
    _, result = regressions(contest, enrolled, max_fmr=0.01, seed=1)
    assert (result.people, result.target_fmr, result.lost) == (0, None, False)
    assert "nobody has two photos" in result.sentence


def test_a_bundle_that_sees_no_face_where_the_active_one_does_loses() -> None:
    contest, enrolled = both()
    usable = enrolled.candidate.usable.copy()
    usable[::2] = False
    blind = replace(enrolled.candidate, usable=usable)
    _, gallery = regressions(contest, replace(enrolled, candidate=blind), max_fmr=0.01, seed=1)
    assert gallery.lost


def test_too_few_people_set_no_threshold() -> None:
    made = sample([8, *[2] * 4])
    photos = embedded(made, 0.4, seed=3)
    contest = Contest.of(made, Contender("new", DECIDER, photos), Contender("old", DECIDER, photos))
    nobody = Enrolled(
        (), empty(photos).subset(np.zeros(16, np.bool_)), photos.subset(np.zeros(16, np.bool_))
    )
    strangers, _ = regressions(contest, nobody, max_fmr=0.01, seed=1)
    assert (strangers.people, strangers.target_fmr) == (4, None)
    assert "too few false matches" in strangers.sentence


def test_enrolled_people_among_the_strangers_are_no_strangers_to_the_gallery() -> None:
    """Their own photos would count as false matches, and ask for a threshold without reason."""
    contest, enrolled = both()
    twin = replace(
        enrolled,
        candidate=contest.candidate.photos.subset(MADE.people == 3),
        active=contest.active.photos.subset(MADE.people == 3),
        subjects=("anna",) * int((MADE.people == 3).sum()),
    )
    for same, fewer in ((frozenset[int](), 0), (frozenset({3}), 3)):
        joined, _ = _with_enrolled(_without(_strangers(contest), same), twin)
        assert len(joined.sample.images) == 180 + 3 - fewer
    strangers, _ = regressions(contest, twin, max_fmr=0.01, seed=1, same=frozenset({3}))
    assert strangers.people == 60


def test_a_folder_with_the_name_of_a_subject_shows_that_subject() -> None:
    _, enrolled = both()
    photos = [
        TrainingPhoto(Path(f"{n}.jpg"), Role.NEGATIVE, f"Person {person}")
        for n, person in enumerate(MADE.people)
    ]
    photos[10] = replace(photos[10], person="S7")
    named = replace(MADE, rows=np.arange(len(photos)))
    assert namesakes(named, photos, enrolled) == {int(MADE.people[10])}
    lost = replace(named, rows=np.full(len(photos), -1))
    assert namesakes(lost, photos, enrolled) == frozenset()
