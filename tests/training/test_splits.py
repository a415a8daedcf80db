from pathlib import Path

import pytest

from app.domain.errors import InvalidRequestError
from app.training.datasets import CelebA, Side, read_folder, without


@pytest.fixture
def celeba(tmp_path: Path) -> CelebA:
    for folder, identities in (
        ("celeba-wild", range(7200, 7220)),
        ("celeba-small", range(7190, 7230)),
    ):
        for identity in identities:
            directory = tmp_path / folder / f"{identity:05d}"
            directory.mkdir(parents=True)
            (directory / "000001.jpg").touch()
            (directory / f"{folder}.jpg").touch()
            (directory / "notes.txt").touch()
    return CelebA.read(tmp_path)


def test_identities_have_exactly_one_side(celeba: CelebA) -> None:
    sides = {side: {i.identity for i in celeba.side(side)} for side in Side}
    for a, b in (
        (Side.TRAIN, Side.TEST),
        (Side.TRAIN, Side.VALIDATION),
        (Side.VALIDATION, Side.TEST),
    ):
        assert not sides[a] & sides[b]
    assert all(int(i) % 10 <= 3 for i in sides[Side.TEST])
    assert all(int(i) % 10 in {4, 5} for i in sides[Side.VALIDATION])


def test_tested_identities_leave_the_small_set_and_others_of_their_digit_train(
    celeba: CelebA,
) -> None:
    train = celeba.side(Side.TRAIN)
    small = {i.identity for i in train if "celeba-small" in i.path.parts}
    assert "07201" not in small
    assert {"07190", "07221"} <= small
    assert all("celeba-wild" in i.path.parts for i in celeba.side(Side.TEST))


def test_validation_uses_both_sets(celeba: CelebA) -> None:
    folders = {i.path.parts[-3] for i in celeba.side(Side.VALIDATION)}
    assert folders == {"celeba-wild", "celeba-small"}


def test_a_photo_in_both_sets_counts_once_as_the_wild_one(celeba: CelebA) -> None:
    photos = [i.path.parts[-3:] for i in celeba.side(Side.VALIDATION) if i.identity == "07204"]
    assert sorted(photos) == [
        ("celeba-small", "07204", "celeba-small.jpg"),
        ("celeba-wild", "07204", "000001.jpg"),
        ("celeba-wild", "07204", "celeba-wild.jpg"),
    ]
    alone = [i.path.parts[-3:] for i in celeba.side(Side.VALIDATION) if i.identity == "07194"]
    assert ("celeba-small", "07194", "000001.jpg") in alone


def test_without_drops_whole_identities(celeba: CelebA) -> None:
    left = without(celeba.side(Side.TRAIN), ["07206"])
    assert "07206" not in {i.identity for i in left}


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="holds no images"):
        read_folder(tmp_path)
