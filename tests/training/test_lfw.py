from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.domain.calibration import Calibration, OperatingPoint
from app.domain.decisions import Decider
from app.domain.errors import InvalidRequestError
from app.domain.scoring import L1Head, ScoreName
from app.training.evaluation.pairing import compare
from app.training.evaluation.rates import measure_rates
from app.training.lfw import Pair, lfw_root, read_pairs, view2
from tests.training.people import people

POINT = OperatingPoint(0.01, 0.8, 0.01, (0.005, 0.02), 0.1, (0, 0.2), 50, 20)
DECIDER = Decider(
    ScoreName.COSINE, L1Head(np.ones(16, np.float32), 1.0), "mean", Calibration({"1": (POINT,)})
)


def test_the_official_list_is_read_fold_by_fold(tmp_path: Path) -> None:
    lines = ["2\t1", "Ann\t1\t2", "Ann\t1\tBob\t12", "Bob\t3\t4", "Bob\t1\tCy\t1"]
    (tmp_path / "pairs.txt").write_text("\n".join(lines) + "\n")
    assert read_pairs(tmp_path / "pairs.txt") == [
        Pair("Ann/Ann_0001.jpg", "Ann/Ann_0002.jpg", same=True, fold=0),
        Pair("Ann/Ann_0001.jpg", "Bob/Bob_0012.jpg", same=False, fold=0),
        Pair("Bob/Bob_0003.jpg", "Bob/Bob_0004.jpg", same=True, fold=1),
        Pair("Bob/Bob_0001.jpg", "Cy/Cy_0001.jpg", same=False, fold=1),
    ]


def pairs(identities: int, folds: int) -> list[Pair]:
    listed = []
    for n in range(identities):
        other = (n + 1) % identities
        mine = f"{n:04d}/{n:04d}_"
        fold = n * folds // identities
        listed.append(Pair(f"{mine}0001.jpg", f"{mine}0002.jpg", same=True, fold=fold))
        stranger = f"{other:04d}/{other:04d}_0003.jpg"
        listed.append(Pair(f"{mine}0001.jpg", stranger, same=False, fold=fold))
    return listed


def test_people_who_are_easy_to_tell_apart_give_full_accuracy() -> None:
    result = view2(people(40, 3, spread=0.1), pairs(40, 4), DECIDER)
    assert (result.accuracy, result.failed_pairs, result.pairs) == (1.0, 0, 80)
    assert len(result.folds) == 4
    assert result.interval.low == pytest.approx(1 + np.log(0.025) / 40)
    assert result.interval.high == 1


@pytest.mark.parametrize("photo", [0, 2])
def test_a_photo_that_failed_is_an_error_in_every_pair_genuine_or_not(photo: int) -> None:
    easy = people(40, 3, spread=0.1)
    usable = easy.usable.copy()
    usable[photo] = (
        False  # photo 0 is in a genuine and an impostor pair, photo 2 in one of strangers
    )
    failed = 2 if photo == 0 else 1
    result = view2(replace(easy, usable=usable), pairs(40, 4), DECIDER)
    assert result.failed_pairs == failed
    assert result.accuracy == pytest.approx(1 - failed / 80)
    assert result.interval.value == pytest.approx(result.accuracy)
    assert result.interval.low < result.accuracy < 1
    assert result.equal_error_rate > 0


def test_a_missing_image_is_named() -> None:
    with pytest.raises(InvalidRequestError, match="missing"):
        view2(people(3, 3), pairs(4, 2), DECIDER)


def test_a_million_impostor_pairs() -> None:
    photos = people(150, 12, spread=0.5)
    made = compare(photos, DECIDER, seed=1)
    assert len(made.impostor) == 1_000_000
    assert len(made.genuine) == 150 * 30  # 66 pairs a person, of which 30 are taken
    rates = measure_rates(made, DECIDER.calibration, seed=1, rounds=20)
    assert set(rates.tar_at_fmr) == {"0.01", "0.001", "0.0001"}
    for tar in rates.tar_at_fmr.values():
        assert tar is not None  # a million pairs support even the strictest
        assert tar.low <= tar.value <= tar.high
    same = photos.identities[:, None] == photos.identities
    exact = np.mean((photos.embeddings @ photos.embeddings.T)[~same] >= 0.8)
    observed = rates.at_max_fmr["0.01"]
    assert observed is not None
    assert observed.fmr.value == pytest.approx(exact, abs=0.0005)
    assert observed.fmr.low < exact < observed.fmr.high
    again = compare(photos, DECIDER, seed=1)
    assert (again.impostor == made.impostor).all()
    assert measure_rates(again, DECIDER.calibration, seed=1, rounds=20) == rates


def test_the_folder_is_found_with_and_without_its_name(tmp_path: Path) -> None:
    (tmp_path / "lfw" / "images").mkdir(parents=True)
    (tmp_path / "lfw" / "pairs.txt").touch()
    assert lfw_root(tmp_path) == lfw_root(tmp_path / "lfw") == tmp_path / "lfw"
    with pytest.raises(InvalidRequestError, match="holds no LFW"):
        lfw_root(tmp_path / "lfw" / "images")
