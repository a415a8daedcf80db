from dataclasses import replace

import numpy as np
import pytest

from app.domain.errors import TrainingDataError
from app.domain.training import Role
from app.training.data.dataset import Dataset
from app.training.data.photos import OWNER
from app.training.datasets import Side
from app.training.presets.pairs import PairDrawing, Photos
from tests.training.presets.people import dataset, split


def drawing(data: Dataset, *, hard: float = 0.5, seed: int = 1, most: int = 2100) -> PairDrawing:
    rows = split(data).rows(Side.TRAIN)
    return PairDrawing(
        data,
        rows,
        embeddings=data.embeddings,
        seed=seed,
        hard_share=hard,
        nearest=0.2,
        most=most,
    )


def test_an_epoch_is_as_large_as_the_tutorials_and_half_of_it_is_of_one_person() -> None:
    data = dataset(owners=5, others=10, each=3)
    drawn = drawing(data)  # 3 anchors, 3 positives and 18 negatives train, with 9 copies each
    pairs = drawn.epoch(0)
    assert drawn.kind == 30
    assert len(pairs) == 60
    assert sum(pair.same for pair in pairs) == 30
    assert drawing(data, most=7).kind == 7


def test_pairs_are_anchor_and_positive_or_anchor_and_negative_of_the_train_side() -> None:
    data = dataset()
    train = set(split(data).rows(Side.TRAIN).tolist())
    seen, drawn = set(), drawing(data)
    for epoch in range(60):
        for pair in drawn.epoch(epoch):
            first, second = data.photos[pair.first[0]], data.photos[pair.second[0]]
            assert first.role is Role.ANCHOR
            assert second.role is (Role.POSITIVE if pair.same else Role.NEGATIVE)
            assert pair.same == (data.people[pair.second[0]] == OWNER)
            assert {pair.first[0], pair.second[0]} <= train
            seen.add((pair.first[0], pair.second[0]))
    assert len(seen) == 3 * 3 + 3 * 18  # all combinations, not only zipped ones
    copies = {pair.second[1] for pair in drawing(data).epoch(0)}
    assert copies == set(range(10))


def test_epochs_differ_and_the_same_seed_gives_the_same_pairs() -> None:
    data = dataset()
    assert drawing(data).epoch(3) == drawing(data).epoch(3)
    assert drawing(data).epoch(3) != drawing(data).epoch(4)
    assert drawing(data).epoch(3) != drawing(data, seed=2).epoch(3)


def test_hard_negatives_are_the_anchors_nearest_strangers() -> None:
    data = dataset()
    unit = data.embeddings / np.linalg.norm(data.embeddings, axis=1, keepdims=True)
    rows = split(data).rows(Side.TRAIN)
    strangers = rows[data.people[rows] != OWNER]
    for pair in drawing(data, hard=1.0).epoch(0):
        if not pair.same:
            cosines = unit[strangers] @ unit[pair.first[0]]
            nearest = strangers[np.argsort(-cosines)[:4]]  # 20 % of 18
            assert pair.second[0] in nearest


def test_near_duplicates_make_no_pair() -> None:
    data = dataset(owners=5)
    groups = data.groups.copy()
    groups[5:7] = groups[0]  # two positives of the first anchor's burst
    pairs = drawing(replace(data, groups=groups)).epoch(0)
    own = {pair.second[0] for pair in pairs if pair.same and pair.first[0] == 0}
    assert own == {7}


def test_one_folder_of_the_owner_is_enough() -> None:
    data = dataset(owners=5)
    rows = np.flatnonzero([photo.role is not Role.POSITIVE for photo in data.photos])
    photos = Photos.among(data, rows)
    assert photos.anchors.tolist() == photos.positives.tolist() == [0, 1, 2, 3, 4]
    drawn = PairDrawing(data, rows, embeddings=data.embeddings, seed=1, hard_share=0, nearest=1)
    assert all(pair.first[0] != pair.second[0] for pair in drawn.epoch(0))


@pytest.mark.parametrize("kept", [[0], [0, 5], [15, 16], []])
def test_without_pairs_of_both_kinds_nothing_is_trained(kept: list[int]) -> None:
    data = dataset()
    with pytest.raises(TrainingDataError, match="too few photos"):
        PairDrawing(
            data,
            np.array(kept, np.intp),
            embeddings=data.embeddings,
            seed=1,
            hard_share=0,
            nearest=1,
        )
