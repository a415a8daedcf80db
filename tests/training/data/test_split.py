import json
import random
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.domain.errors import TrainingDataError
from app.domain.training import Role
from app.inference.bundle import Bundle
from app.training.data.crops import CropCache
from app.training.data.dataset import Dataset
from app.training.data.examine import Examined, examine
from app.training.data.inspection import inspect
from app.training.data.photos import OWNER, read_photos
from app.training.data.split import SHARES, SPLIT, Split, known_sides, make_split, with_earlier
from app.training.datasets import Side
from tests.pictures import encode
from tests.training.data.folders import Ear, portrait, put, shaded
from tests.training.data.seen import owner, seen, strangers


def dataset_of(photos: list[Examined], bundle: Bundle) -> Dataset:
    return inspect(photos, bundle, CropCache(Path("nowhere")))[1]


@pytest.fixture
def dataset(bundle: Bundle) -> Dataset:
    photos = [*owner(26, 26), *strangers(100, 2)]
    photos += [seen(f"anchor/b{i}.jpg", near=("anchor/aa.jpg", i)) for i in range(1, 8)]
    photos += [seen(f"positive/b{i}.jpg", near=("anchor/ab.jpg", i)) for i in range(1, 3)]
    return dataset_of(photos, bundle)


def test_shares_are_as_said_for_each_role_and_for_people(dataset: Dataset) -> None:
    split = make_split(dataset, 1)
    assert sum(SHARES.values()) == pytest.approx(1)
    for role in (Role.ANCHOR, Role.POSITIVE):
        own = [i for i, photo in enumerate(dataset.photos) if photo.role is role]
        groups = {int(dataset.groups[i]): split.sides[i] for i in own}
        for side, share in SHARES.items():
            count = sum(found is side for found in groups.values())
            assert count == pytest.approx(share * len(groups), abs=2)
    for side, share in SHARES.items():
        rows = split.rows(side)
        people = set(dataset.people[rows].tolist()) - {OWNER}
        assert len(people) == pytest.approx(share * 100, abs=1)


@pytest.mark.parametrize("seed", range(5))
def test_groups_and_people_stay_on_one_side(dataset: Dataset, seed: int) -> None:
    split = make_split(dataset, seed)
    sides = defaultdict(set)
    for row, side in enumerate(split.sides):
        sides["group", int(dataset.groups[row])].add(side)
        if dataset.people[row] != OWNER:
            sides["person", int(dataset.people[row])].add(side)
    assert all(len(found) == 1 for found in sides.values())
    assert sorted(np.concatenate([split.rows(side) for side in Side])) == list(range(len(dataset)))


def test_a_small_set_has_something_on_every_side(bundle: Bundle) -> None:
    dataset = dataset_of([*owner(5, 5), *strangers(20, 1)], bundle)
    split = make_split(dataset, 3)
    for side in Side:
        rows = split.rows(side)
        assert {OWNER} < set(dataset.people[rows].tolist())


def test_it_depends_on_seed_and_content_alone(bundle: Bundle) -> None:
    photos = [*owner(), *strangers(40, 1)]
    dataset = dataset_of(photos, bundle)
    random.Random(5).shuffle(photos)
    renamed = [
        seen(name, p.photo.person or "owner", content=p.photo.name)
        for p in photos
        for name in [f"{p.photo.role}/renamed-{p.photo.name.replace('/', '-')}"]
    ]
    by_content = dict(zip(dataset.sha256, make_split(dataset, 7).sides, strict=True))
    other = dataset_of(renamed, bundle)
    assert dict(zip(other.sha256, make_split(other, 7).sides, strict=True)) == by_content
    assert make_split(dataset, 8).sides != make_split(dataset, 7).sides


def test_more_photos_leave_most_of_the_others_where_they_were(bundle: Bundle) -> None:
    few, more = (dataset_of([*owner(), *strangers(n, 1)], bundle) for n in (100, 104))
    before, after = (dict(zip(d.sha256, make_split(d, 7).sides, strict=True)) for d in (few, more))
    assert np.mean([before[photo] is after[photo] for photo in before]) > 0.5


def test_a_long_burst_leaves_training_the_other_moments(bundle: Bundle) -> None:
    photos = [*owner(30, 30), *strangers(40, 1)]
    photos += [seen(f"anchor/b{i}.jpg", near=("anchor/aa.jpg", i)) for i in range(1, 60)]
    dataset = dataset_of(photos, bundle)
    split = make_split(dataset, 1)
    own = split.rows(Side.TRAIN)
    own = own[dataset.people[own] == OWNER]
    assert len(np.unique(dataset.groups[own])) == pytest.approx(0.6 * 60, abs=2)


def test_what_the_active_bundle_was_trained_on_is_never_tested_with(bundle: Bundle) -> None:
    """Photos are added and another seed is given, job after job from the bundle before."""
    known: dict[str, Side] = {}
    trained: set[str] = set()
    for job, count in enumerate((20, 24, 30)):
        dataset = dataset_of([*owner(count, count), *strangers(4 * count, 2)], bundle)
        split = make_split(dataset, job, known)
        tested = {dataset.sha256[row] for row in split.rows(Side.TEST)}
        assert not tested & trained
        assert len(tested) > 0.15 * len(dataset)
        trained |= {dataset.sha256[row] for row in split.rows(Side.TRAIN)}
        known |= dict(zip(dataset.sha256, split.sides, strict=True))


def test_a_bundle_tells_what_it_and_its_bases_were_made_with(
    bundle: Bundle, tmp_path: Path
) -> None:
    first, second = (dataset_of([*owner(n, n), *strangers(40, 1)], bundle) for n in (12, 10))
    assert known_sides(bundle) == {}
    base = replace(bundle, directory=tmp_path)
    before = make_split(first, 1)
    document = with_earlier(before.document(first), first, bundle)
    (tmp_path / SPLIT).write_text(json.dumps(document))
    known = known_sides(base)
    assert known == dict(zip(first.sha256, before.sides, strict=True))
    after = make_split(second, 2, known)
    both = with_earlier(after.document(second), second, base)
    assert {entry["sha256"]: entry["side"] for entry in both["photos"]} == known
    assert len(second) < len(both["photos"]) == len(first)


def test_a_person_of_whom_one_photo_was_trained_on_is_no_test_person(bundle: Bundle) -> None:
    dataset = dataset_of([*owner(), *strangers(40, 2)], bundle)
    person = np.flatnonzero(dataset.people == 7)
    for first, second, side in (
        (Side.TRAIN, Side.TEST, Side.TRAIN),
        (Side.TEST, Side.VALIDATION, Side.VALIDATION),
        (Side.TEST, Side.TEST, Side.TEST),
    ):
        known = {dataset.sha256[person[0]]: first, dataset.sha256[person[1]]: second}
        split = make_split(dataset, 1, known)
        assert {split.sides[row] for row in person} == {side}


def test_a_document_of_photos_that_moved_is_refused(dataset: Dataset) -> None:
    document = make_split(dataset, 1).document(dataset)
    document["photos"][3]["role"] = "negative"
    document["photos"][5]["group"] += 1
    with pytest.raises(TrainingDataError, match="2 are another person"):
        Split.from_document(document, dataset)


def test_the_document_tells_it_all_again_and_no_names(dataset: Dataset) -> None:
    split = make_split(dataset, 1)
    document = json.loads(json.dumps(split.document(dataset)))
    assert Split.from_document(document, dataset) == split
    assert set(document["photos"][0]) == {"sha256", "role", "person", "group", "side"}
    text = json.dumps(document)
    assert not any(photo.path.name in text for photo in dataset.photos)


def test_a_document_of_other_photos_is_refused(dataset: Dataset, bundle: Bundle) -> None:
    document = make_split(dataset, 1).document(dataset)
    other = dataset_of([*owner(27, 26), *strangers(100, 2)], bundle)
    with pytest.raises(TrainingDataError, match="1 came and 9 went"):
        Split.from_document(document, other)


def test_no_test_photo_or_copy_of_one_is_trained_on(tmp_path: Path, bundle: Bundle) -> None:
    """Each picture lies there three times: as it is, re-encoded and smaller, and cropped."""
    data = tmp_path / "data"
    pictures = {f"anchor/o{i}": shaded(portrait("astronaut"), i) for i in range(5)}
    pictures |= {f"positive/o{i}": shaded(portrait("astronaut"), 50 + i) for i in range(5)}
    pictures |= {f"negative/n{i}/x": shaded(portrait("hopper"), 100 + i) for i in range(8)}
    for name, pixels in pictures.items():
        height, width = pixels.shape[:2]
        put(data, f"{name}_a.png", encode(pixels, ".png"))
        small = cv2.resize(pixels, (width * 2 // 3, height * 2 // 3), interpolation=cv2.INTER_AREA)
        put(data, f"{name}_b.jpg", encode(small))
        put(data, f"{name}_c.jpg", encode(pixels[height // 25 :, width // 20 :]))
    # The same picture under another person's name takes that person along.
    put(data, "negative/n7/other.jpg", encode(pictures["negative/n0/x"]))
    crops = CropCache(tmp_path / "crops")
    examined = examine(read_photos(data), bundle, crops, threads=2, monitor=Ear())
    _, dataset = inspect(examined, bundle, crops)
    assert len(dataset) > 45
    split = make_split(dataset, 2)
    sides = defaultdict(set)
    for photo, side in zip(dataset.photos, split.sides, strict=True):
        sides[photo.name.rsplit("_", 1)[0]].add(side)
    assert all(len(found) == 1 for found in sides.values())
    assert sides["negative/n0/x"] == sides["negative/n7/x"] == sides["negative/n7/other.jpg"]
    assert {side for found in sides.values() for side in found} == set(Side)
