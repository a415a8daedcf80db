from dataclasses import replace

import numpy as np
import pytest

from app.domain.decisions import VoteRule
from app.training.acceptance.trials import TrialPlan, drawn_plan, left_out_plan
from app.training.evaluation.curves import FAILED
from tests.training.acceptance.scenes import DECIDER, embedded, sample, without_faces

MADE = sample([12, *[1] * 6, 3, 2])
ALL = np.ones(len(MADE), np.bool_)
OWNER = np.array([0])


def parts(plan: TrialPlan) -> list[tuple[int, set[int], list[int]]]:
    ends = np.cumsum(plan.counts)
    return [
        (int(subject), set(gallery.tolist()), plan.probes[end - count : end].tolist())
        for subject, gallery, count, end in zip(
            plan.subjects, plan.galleries, plan.counts, ends, strict=True
        )
    ]


@pytest.mark.parametrize("references", [(1, 1), (3, 5), (6, None)])
def test_owner_is_tried_by_all_her_other_photos_and_by_everyone(
    references: tuple[int, int | None],
) -> None:
    plan = drawn_plan(MADE, ALL, OWNER, references, draws=9, seed=1)
    assert len(plan.galleries) == 9
    for subject, gallery, probes in parts(plan):
        assert subject == 0
        assert references[0] <= len(gallery) <= (references[1] or 11)
        assert sorted(gallery | set(probes)) == list(range(len(MADE)))
        assert not gallery & set(probes)
    assert plan.genuine(MADE).sum() == sum(12 - len(gallery) for gallery in plan.galleries)


def test_plans_are_reproducible_and_hang_on_the_seed() -> None:
    def galleries(seed: int) -> list[list[int]]:
        plan = drawn_plan(MADE, ALL, OWNER, (3, 3), draws=5, seed=seed)
        return [gallery.tolist() for gallery in plan.galleries]

    assert galleries(1) == galleries(1) != galleries(2)


def test_photos_of_a_references_burst_are_not_probes_and_bursts_give_one_reference() -> None:
    groups = MADE.groups.copy()
    groups[:4] = 0
    made = replace(MADE, groups=groups)
    for _, gallery, probes in parts(drawn_plan(made, ALL, OWNER, (4, 8), draws=30, seed=1)):
        tried = {row for row in probes if row < 12}
        assert len({int(groups[row]) for row in gallery}) == len(gallery)
        assert not {int(groups[row]) for row in gallery} & {int(groups[row]) for row in tried}


def test_owner_is_enrolled_with_photos_of_the_test_side_only() -> None:
    made = replace(MADE, tested=np.arange(len(MADE)) >= 6)
    for _, gallery, probes in parts(drawn_plan(made, ALL, OWNER, (2, 2), draws=20, seed=1)):
        assert min(gallery) >= 6
        assert min(row for row in probes if row < 12) >= 6


def test_who_has_just_enough_photos_is_tried_by_strangers_only() -> None:
    plan = drawn_plan(MADE, ALL, np.arange(9), (2, 2), draws=1, seed=1)
    assert plan.subjects.tolist() == [0, 7, 8]
    genuine = plan.genuine(MADE)
    assert np.bincount(plan.claimed[genuine], minlength=9).tolist() == [10, 0, 0, 0, 0, 0, 0, 1, 0]
    assert np.bincount(plan.claimed[~genuine], minlength=9)[8] == len(MADE) - 2


def test_a_limit_draws_impostors_but_keeps_genuine_trials() -> None:
    plan = drawn_plan(MADE, ALL, OWNER, (1, 1), draws=10, seed=1, limit=40)
    assert plan.genuine(MADE).sum() == 110
    assert (~plan.genuine(MADE)).sum() == 40


@pytest.mark.parametrize("at_once", [5, 64])
def test_scores_are_those_of_the_service(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr("app.training.acceptance.trials._PROBES", at_once)
    photos = embedded(MADE, 0.5, seed=1)
    plan = drawn_plan(MADE, ALL, OWNER, (2, 5), draws=4, seed=1)
    votes = plan.votes(MADE, photos, DECIDER, VoteRule(0.6, 0.5))
    scores, start = plan.scores(MADE, photos, DECIDER), 0
    for gallery, count in zip(plan.galleries, plan.counts, strict=True):
        references = photos.embeddings[gallery]
        for i in range(start, start + count):
            probe = photos.embeddings[plan.probes[i]]
            assert scores[i] == pytest.approx(DECIDER.fused_score(probe, references), abs=1e-5)
            assert votes[i] == ((DECIDER.head.probabilities(probe, references) > 0.6).mean() > 0.5)
        start += count
    assert 0 < votes.mean() < 1


def test_unusable_photos_fail_as_genuine_probes_and_are_nothing_else() -> None:
    photos = without_faces(embedded(MADE, 0.5, seed=1), [0, 12])
    plan = drawn_plan(MADE, photos.usable, OWNER, (2, 5), draws=10, seed=1)
    assert not {0, 12} & {row for _, gallery, _ in parts(plan) for row in gallery}
    failed = plan.scores(MADE, photos, DECIDER) == FAILED
    assert set(plan.probes[failed].tolist()) == {0}
    assert failed.sum() == 10
    assert 12 not in plan.probes
    assert not plan.votes(MADE, photos, DECIDER, VoteRule(0.01, 0.01))[failed].any()


def test_every_photo_is_left_out_once() -> None:
    plan = left_out_plan(MADE, ALL, np.arange(9), most=4, seed=1)
    genuine = plan.genuine(MADE)
    assert plan.probes[genuine].tolist() == [*range(12), *range(18, 23)]
    for _, gallery, probes in parts(plan):
        own = [row for row in probes if MADE.people[row] == MADE.people[min(gallery)]]
        assert len(own) == 1
        assert not set(own) & gallery
        assert 1 <= len(gallery) <= 4
    assert {len(gallery) for gallery in plan.galleries} == {1, 2, 4}
    assert left_out_plan(MADE, ALL, np.array([1, 2]), most=4, seed=1).galleries == ()


def test_a_photo_is_not_left_out_against_its_own_burst() -> None:
    groups = MADE.groups.copy()
    groups[21:23] = groups[21]
    made = replace(MADE, groups=groups)
    assert 8 not in left_out_plan(made, ALL, np.arange(9), most=4, seed=1).subjects
