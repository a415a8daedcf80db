from pathlib import Path

import pytest

from app.domain.entities import FacePolicy
from app.domain.errors import InvalidRequestError
from app.training.evaluation.pairs_report import PairsReport, evaluate_pairs
from tests.dummy_pipeline import DummyPipeline, photo

PEOPLE = "abcdefghijkl"


def measured(root: Path, pipeline: DummyPipeline | None = None) -> PairsReport:
    return evaluate_pairs(
        pipeline or DummyPipeline(),
        root / "pairs.csv",
        root,
        policy=FacePolicy.PROMINENT,
        seed=1,
        threads=2,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve people, of each a genuine pair and an impostor pair."""
    lines = ["a,b,same"]
    for person, other in zip(PEOPLE, PEOPLE[1:] + PEOPLE[:1], strict=True):
        for number in (1, 2):
            (tmp_path / f"{person}{number}.jpg").write_bytes(photo(person, number))
        lines += [f"{person}1.jpg,{person}2.jpg,1", f"{person}1.jpg,{other}2.jpg,0"]
    (tmp_path / "pairs.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_pairs_that_are_easy_to_tell_apart(root: Path) -> None:
    pipeline = DummyPipeline()
    report = measured(root, pipeline)
    assert pipeline.analyzed == 24
    assert (report.pairs, report.identities, report.failed_pairs) == (24, 12, 0)
    best = report.accuracy.cross_validated
    assert best is not None
    assert (best.value, report.accuracy.folds) == (1, 10)
    assert {rate.value for rate in report.accuracy.at_max_fmr.values() if rate} == {1}
    assert report.all_photos.equal_error_rate.value == 0
    assert report.accuracy_usable == report.accuracy


def test_a_wrong_label_is_an_error(root: Path) -> None:
    text = (root / "pairs.csv").read_text()
    (root / "pairs.csv").write_text(text.replace("a1.jpg,b2.jpg,0", "a1.jpg,b2.jpg,1"))
    report = measured(root)
    assert report.identities == 11  # the label says that a and b are one person
    at = report.accuracy.at_max_fmr["0.01"]
    assert at is not None
    assert at.value == pytest.approx(23 / 24)
    assert at.low < at.value


def test_a_failed_photo_is_an_error_in_all_its_pairs_and_left_out_beside(root: Path) -> None:
    (root / "a1.jpg").write_bytes(photo("a", 1, faces=0))
    report = measured(root)
    assert report.failed_pairs == 2
    at, beside = (
        section.at_max_fmr["0.001"] if section else None
        for section in (report.accuracy, report.accuracy_usable)
    )
    assert at is not None
    assert beside is not None
    assert at.value == pytest.approx(22 / 24)
    assert beside.value == 1
    rates = report.all_photos
    assert (rates.genuine_pairs, rates.impostor_pairs) == (12, 11)
    assert report.usable_photos is not None
    assert report.usable_photos.genuine_pairs == 11


def test_few_pairs_make_fewer_folds(root: Path) -> None:
    lines = (root / "pairs.csv").read_text().splitlines()
    (root / "pairs.csv").write_text("\n".join(lines[:7]) + "\n")
    assert measured(root).accuracy.folds == 3
    (root / "pairs.csv").write_text("\n".join(lines[:3]) + "\n")
    report = measured(root)
    assert (report.accuracy.folds, report.accuracy.cross_validated) == (1, None)
    assert "too few pairs" in [row[1] for row in report.rows()]


def test_no_impostor_pair_that_could_be_compared(root: Path) -> None:
    for person in PEOPLE:
        (root / f"{person}2.jpg").write_bytes(photo(person, 2, faces=0))
    with pytest.raises(InvalidRequestError, match="fewer than two people"):
        measured(root)
