from dataclasses import replace

import numpy as np
import pytest

from app.domain.calibration import BUCKETS, OperatingPoint
from app.domain.errors import UnsupportedFmrError
from app.training.acceptance.pricing import FOLDS, OwnerTrials, calibrate_owner
from app.training.acceptance.sample import Sample
from app.training.acceptance.trials import drawn_plan
from app.training.embedding_set import EmbeddingSet
from tests.training.acceptance.scenes import DECIDER, embedded, sample, without_faces

PRICED = sample([40, *[2] * 120], validation=0.4)
"""40 photos of the owner, and 120 others with two each, of whom 48 were for validation."""
SEEN = embedded(PRICED, 0.4, seed=3)


def point(points: list[OperatingPoint], target: float) -> OperatingPoint:
    return next(each for each in points if each.target_fmr == target)


@pytest.fixture(scope="module")
def calibration() -> dict[str, list[OperatingPoint]]:
    found = calibrate_owner(PRICED, SEEN, DECIDER, subject="anna", seed=1)
    assert found.subject == "anna"
    return {name: list(points) for name, points in found.buckets.items()}


def test_every_bucket_is_priced_for_the_owner(
    calibration: dict[str, list[OperatingPoint]],
) -> None:
    assert list(calibration) == list(BUCKETS)
    for points in calibration.values():
        targets = [each.target_fmr for each in points]
        assert targets == sorted(targets, reverse=True)
        thresholds = [each.threshold for each in points]
        assert thresholds == sorted(thresholds)
        for each in points:
            assert each.fmr_interval[0] <= each.fmr <= each.fmr_interval[1]
            assert each.fnmr_interval[0] <= each.fnmr <= each.fnmr_interval[1]


def test_more_references_never_make_a_threshold_laxer(
    calibration: dict[str, list[OperatingPoint]],
) -> None:
    for one, more in zip(list(BUCKETS)[:-1], list(BUCKETS)[1:], strict=True):
        for each in calibration[one]:
            assert point(calibration[more], each.target_fmr).threshold >= each.threshold


def test_rates_beyond_the_owners_impostors_stand_on_other_people(
    calibration: dict[str, list[OperatingPoint]],
) -> None:
    """240 impostor photos give 30 false matches down to 12 %; 28,000 pairs of them go on."""
    strictest = calibration["1"][-1]
    assert strictest.target_fmr < 0.05
    assert strictest.inherited
    assert not calibration["1"][0].inherited


def test_who_is_not_the_owner_is_priced_by_people_with_two_photos() -> None:
    found = calibrate_owner(PRICED, SEEN, DECIDER, subject="anna", seed=1)
    other = found.about("bea").operating_point(0.05, 1)
    assert other.fnmr > 0
    with pytest.raises(UnsupportedFmrError, match="subject anna only"):
        found.about("bea").operating_point(0.05, 4)
    alone = sample([40, *[1] * 240], validation=0.4)
    lonely = calibrate_owner(alone, embedded(alone, 0.4, seed=3), DECIDER, subject="anna", seed=1)
    assert not any(lonely.others.values())
    assert lonely.buckets["1"][-1].inherited


def test_without_an_owner_it_is_for_everybody() -> None:
    made = sample([3] * 60, owner=None)
    found = calibrate_owner(made, embedded(made, 0.4, seed=3), DECIDER, subject=None, seed=1)
    assert found.subject is None
    assert found.buckets["2"]
    assert not found.others


def test_nothing_is_priced_without_impostors_or_without_a_second_photo() -> None:
    for photos in ([40], [1, *[1] * 200]):
        made = sample(photos)
        found = calibrate_owner(made, embedded(made, 0.4, seed=3), DECIDER, subject="a", seed=1)
        assert not any(found.buckets.values())


def trials(made: Sample, photos: EmbeddingSet) -> OwnerTrials:
    plan = drawn_plan(made, photos.usable, np.array([0]), (1, 1), draws=5, seed=1)
    found = OwnerTrials.of(plan, made, plan.scores(made, photos, DECIDER), seed=1)
    assert found is not None
    return found


def test_nobody_is_judged_by_a_threshold_that_they_set() -> None:
    """A fifth of the strangers at a time; the threshold without them does not know their scores."""
    found = trials(PRICED, SEEN)
    assert sorted({*found.folds.tolist()}) == list(range(FOLDS))
    for stranger in range(int(found.strangers.max()) + 1):
        assert len(set(found.folds[found.strangers == stranger].tolist())) == 1
    thresholds = found.thresholds(0.1)
    for fold in range(FOLDS):
        outside = found.impostor[found.folds != fold]
        assert np.mean(outside >= thresholds[1 + fold]) <= 0.1
        raised = replace(
            found, impostor=np.where(found.folds == fold, np.float32(9), found.impostor)
        )
        assert raised.thresholds(0.1)[1 + fold] == thresholds[1 + fold]
    assert found.point(0.1, thresholds).fmr == pytest.approx(
        np.mean([found.impostor[i] >= thresholds[1 + f] for i, f in enumerate(found.folds)])
    )


def test_a_photo_of_the_owner_without_a_face_counts_as_turned_away() -> None:
    thresholds = np.full(1 + FOLDS, -2.0)
    assert trials(PRICED, SEEN).point(0.1, thresholds).fnmr == 0
    lost = trials(PRICED, without_faces(SEEN, [0, 1, 2, 3])).point(0.1, thresholds)
    assert lost.fnmr == pytest.approx(4 / 39)


def test_no_miss_among_few_photos_proves_little() -> None:
    made = sample([6, *[1] * 240])
    tried = trials(made, embedded(made, 0.4, seed=3))
    found = tried.widened(tried.point(0.1, np.full(1 + FOLDS, -2.0)))
    assert found.fnmr == 0
    assert found.fnmr_interval[1] == pytest.approx(-np.log(0.025) / 6)


def test_one_event_widens_an_interval_no_more_than_a_few_do() -> None:
    found = calibrate_owner(PRICED, SEEN, DECIDER, subject="anna", seed=1)
    for points in found.buckets.values():
        for each in points:
            assert each.fmr_interval[1] < 5 * max(each.fmr, 3.69 / 120)
            assert each.fnmr_interval[1] < 7 * max(each.fnmr, 3.69 / 40)


def test_photos_that_were_trained_on_are_references_at_most() -> None:
    """With 8 test photos no gallery has 11 references; with 40 others of the owner it has."""
    made = sample([48, *[2] * 120])
    tested = np.arange(len(made)) >= 40
    made = replace(made, tested=tested)
    photos = embedded(made, 0.4, seed=3)
    found = calibrate_owner(made, photos, DECIDER, subject="anna", seed=1)
    assert found.buckets["11+"]
    # All photos that were trained on are useless; were they probes, the FNMR would show it.
    embeddings = photos.embeddings.copy()
    embeddings[:40] = embeddings[40]
    again = calibrate_owner(
        made, replace(photos, embeddings=embeddings), DECIDER, subject="anna", seed=1
    )
    assert again.buckets["1"] == found.buckets["1"]
    assert again.buckets["11+"] != found.buckets["11+"]
