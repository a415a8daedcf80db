from dataclasses import replace

import numpy as np
import pytest

from app.domain.decisions import Decider
from app.inference.bundle import Bundle
from app.training.data.likeness import CERTAIN_FMR, SUSPECT_FMR, Likeness, likeness
from tests.training.data.seen import COMMONNESS, looking


@pytest.fixture
def decider(bundle: Bundle) -> Decider:
    return bundle.manifest.decider(bundle.calibration)


def judge(owner: list[str], others: list[str], decider: Decider) -> Likeness:
    """Photos are written `person` or `person@cosine`."""
    rows = []
    for number, name in enumerate(owner + others):
        person, _, cosine = name.partition("@")
        rows.append(looking(person, float(cosine or 0.985), seed=str(number)))
    return likeness(
        np.stack(rows),
        np.arange(len(owner)),
        np.arange(len(owner), len(rows)),
        np.arange(len(rows)),
        decider,
    )


def test_strangers_are_no_look_alikes(decider: Decider) -> None:
    assert judge(["anna"] * 12, ["bob", "carl", "dora"] * 3, decider) == Likeness()


def test_the_owner_among_the_negatives_is_found(decider: Decider) -> None:
    found = judge(["anna"] * 12, ["bob", "anna", "carl"], decider)
    assert [row for row, _ in found.certain] == [13]
    assert found.certain[0][1] == pytest.approx(0.985**2 - 2 * COMMONNESS, abs=0.02)
    assert found.suspect == ()


def test_who_is_alike_but_not_surely_is_a_suspect(decider: Decider) -> None:
    strict, lax = (
        decider.calibration.operating_point(fmr, 12).threshold for fmr in (CERTAIN_FMR, SUSPECT_FMR)
    )
    cosine = ((strict + lax) / 2 + 2 * COMMONNESS) / 1.0
    found = judge(["anna@1"] * 12, ["bob", f"anna@{cosine}"], decider)
    assert [row for row, _ in found.suspect] == [13]
    assert found.certain == ()


def test_of_many_strangers_more_is_asked(decider: Decider) -> None:
    calibration = decider.calibration
    alike = (calibration.operating_point(CERTAIN_FMR, 12).threshold + 0.001 + 2 * COMMONNESS) / 1
    few, many = (
        judge(["anna@1"] * 12, [f"anna@{alike}", *(f"s{i}" for i in range(count))], decider)
        for count in (20, 3000)
    )
    assert [row for row, _ in few.certain] == [12]
    assert many.certain == ()
    assert [row for row, _ in many.suspect] == [12]


def pricing(decider: Decider, strictest: float, *buckets: str) -> Decider:
    """As an owner's bundle prices, of some hundred people: no rate stricter than this one."""
    calibration = decider.calibration
    priced = {
        name: [point for point in points if point.target_fmr >= strictest]
        for name, points in calibration.buckets.items()
        if name in (buckets or calibration.buckets)
    }
    return replace(decider, calibration=replace(calibration, buckets=priced))


@pytest.mark.parametrize("strictest", [0.0005, SUSPECT_FMR, 0.005, 0.05])
def test_the_owner_is_found_by_a_bundle_that_prices_no_strict_rate(
    decider: Decider, strictest: float
) -> None:
    lax = pricing(decider, strictest)
    found = judge(["anna"] * 12, ["bob", "anna@0.99", "carl"], lax)
    assert [row for row, _ in found.certain] == [13]
    assert found.suspect == ()
    assert found.judged


@pytest.mark.parametrize("strictest", [SUSPECT_FMR, 0.05])
def test_who_is_less_alike_than_the_owners_own_photos_is_only_suspected_by_it(
    decider: Decider, strictest: float
) -> None:
    lax = pricing(decider, strictest)
    found = judge(["anna"] * 12, ["bob", "anna@0.97"], lax)
    assert found.certain == ()
    assert [row for row, _ in found.suspect] == [13]
    assert judge(["anna"] * 12, ["anna@0.97"], decider).certain != ()


def test_one_photo_of_the_owner_is_too_few_to_say_how_alike_they_are(decider: Decider) -> None:
    found = judge(["anna"], ["bob", "anna"], pricing(decider, SUSPECT_FMR))
    assert found.certain == ()
    assert [row for row, _ in found.suspect] == [2]


def test_a_bundle_that_hardly_knows_the_owner_accuses_nobody(decider: Decider) -> None:
    """As the seed's tiny network: at the strictest rate it misses most of the owner's photos."""
    weak = pricing(decider, 0.01)
    buckets = {
        name: [replace(point, fnmr=0.9) for point in points]
        for name, points in weak.calibration.buckets.items()
    }
    weak = replace(weak, calibration=replace(weak.calibration, buckets=buckets))
    assert judge(["anna"] * 7 + ["bob"] * 3, ["anna"], weak) == Likeness(judged=False)


def test_outliers_stay_although_others_can_not_be_judged(decider: Decider) -> None:
    found = judge(["anna"] * 7 + ["bob"] * 3, ["anna"], pricing(decider, 0.01, "1"))
    assert [row for row, _ in found.outliers] == [7, 8, 9]
    assert found.certain == found.suspect == ()
    assert not found.judged


def test_others_are_judged_although_outliers_can_not_be_found(decider: Decider) -> None:
    found = judge(["anna"] * 12, ["anna"], pricing(decider, CERTAIN_FMR, "11+"))
    assert [row for row, _ in found.certain] == [12]
    assert not found.judged


def test_someone_else_among_the_owners_photos_is_an_outlier(decider: Decider) -> None:
    found = judge(["anna"] * 7 + ["bob"] * 3, ["carl"], decider)
    assert [row for row, _ in found.outliers] == [7, 8, 9]
    assert all(share == pytest.approx(2 / 9) for _, share in found.outliers)


def test_who_looks_like_an_outlier_is_not_taken_for_the_owner(decider: Decider) -> None:
    found = judge(["anna"] * 7 + ["bob"] * 2, ["bob", "carl"], decider)
    assert found.certain == ()
    assert found.suspect == ()


def test_copies_have_one_voice(decider: Decider) -> None:
    """Ten frames of someone else do not outvote five photos of the owner."""
    embeddings = np.stack(
        [looking("anna", 0.985, seed=str(i)) for i in range(5)]
        + [looking("bob", 0.985, seed=str(i)) for i in range(10)]
    )
    groups = np.array([0, 1, 2, 3, 4, *[5] * 10])
    found = likeness(embeddings, np.arange(15), np.arange(0), groups, decider)
    assert [row for row, _ in found.outliers] == list(range(5, 15))


def test_a_bundle_that_prices_nothing_is_not_asked(decider: Decider) -> None:
    calibration = replace(decider.calibration, buckets={})
    found = judge(["anna"] * 12, ["anna"], replace(decider, calibration=calibration))
    assert found == Likeness(judged=False)


def test_without_an_owner_there_is_nobody_to_look_like(decider: Decider) -> None:
    assert judge([], ["bob", "carl"], decider) == Likeness()
