from pathlib import Path

import pytest

from app.domain.entities import FacePolicy
from app.domain.errors import InvalidRequestError
from app.training.evaluation.folder_report import FolderReport, evaluate_folder, read_people
from tests.dummy_pipeline import DummyPipeline, photo


def measured(folder: Path, per_identity: int = 30) -> FolderReport:
    return evaluate_folder(
        DummyPipeline(),
        folder,
        policy=FacePolicy.PROMINENT,
        per_identity=per_identity,
        seed=1,
        threads=2,
    )


def put(folder: Path, name: str, data: bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Six people with three photos each; the dummy tells them apart without an error."""
    for person in "abcdef":
        for number in range(3):
            put(tmp_path, f"{person}/{number}.jpg", photo(person, number))
    return tmp_path


def test_people_who_are_easy_to_tell_apart(people: Path) -> None:
    report = measured(people)
    assert (report.identities, report.failures.images) == (6, 18)
    rates = report.all_photos
    assert (rates.genuine_pairs, rates.impostor_pairs) == (6 * 3, 15 * 9)
    assert rates.equal_error_rate.value == 0
    assert rates.tar_at_fmr == {"0.01": None, "0.001": None, "0.0001": None}
    for max_fmr in ("0.01", "0.001"):
        at = rates.at_max_fmr[max_fmr]
        assert at is not None
        assert (at.fmr.value, at.fnmr.value) == (0, 0)
        assert at.fmr.high > 0
    assert report.usable_photos == rates
    assert "6 identities are few" in report.notes()[-1]
    assert measured(people, per_identity=2).all_photos.genuine_pairs == 12


def test_failures_are_errors_and_are_shown_apart(people: Path) -> None:
    put(people, "a/0.jpg", photo("a", 0, faces=0))
    put(people, "b/0.jpg", photo("b", 0, quality=0.1))
    put(people, "c/0.jpg", b"no image")
    put(people, "d/3.heic", b"GIF89a")
    (people / "e" / "0.jpg").unlink()
    (people / "e" / "0.jpg").symlink_to(people / "gone.jpg")
    report = measured(people)
    failures = report.failures
    assert failures.images == 19
    assert failures.invalid == ["c/0.jpg", "d/3.heic", "e/0.jpg"]
    assert failures.not_found == 1
    assert failures.inconclusive == {"TOO_BLURRY": 1}
    counted, left_out = report.all_photos, report.usable_photos
    assert left_out is not None
    # Two pairs each of a, b, c and e, and three of d, have a photo that failed.
    assert (counted.genuine_pairs, left_out.genuine_pairs) == (21, 10)
    at = counted.at_max_fmr["0.01"], left_out.at_max_fmr["0.01"]
    assert at[0] is not None
    assert at[1] is not None
    assert at[0].fnmr.value == pytest.approx(11 / 21)
    assert at[1].fnmr.value == 0
    assert counted.impostor_pairs == left_out.impostor_pairs
    assert "invalid image: c/0.jpg" in report.notes()


def test_the_report_is_the_same_again(people: Path) -> None:
    assert measured(people) == measured(people)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "holds no photos"),
        (["notes.txt", "a/notes.txt"], "holds no photos"),
        (["a/1.jpg", "a/2.jpg"], "holds photos of one identity only"),
        (["a/1.jpg", "b/1.jpg"], "holds one photo of each identity"),
        (["a/1.jpg", "a/2.jpg", "b/1.jpg", "c.jpg"], "c.jpg is in no folder of an identity"),
        (["a/1.jpg", "a/x/2.jpg", "b/1.jpg"], "a/x/2.jpg lies deeper"),
    ],
)
def test_a_folder_that_is_no_such_set(tmp_path: Path, files: list[str], message: str) -> None:
    for name in files:
        put(tmp_path, name, photo("anna", name))
    with pytest.raises(InvalidRequestError, match=message):
        measured(tmp_path)


def test_nothing_that_could_be_compared(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg"):
        put(tmp_path, name, photo(name[0], name, faces=int(name[0] == "a")))
    with pytest.raises(InvalidRequestError, match="fewer than two people"):
        measured(tmp_path)


def test_no_pair_of_usable_photos(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg"):
        put(tmp_path, name, photo(name[0], name, faces=int(name != "a/2.jpg")))
    report = measured(tmp_path)
    assert report.usable_photos is None
    assert {row[2] for row in report.rows()} == {"no pair could be compared"}
    at = report.all_photos.at_max_fmr["0.01"]
    assert at is not None
    assert at.fnmr.value == 1


def test_hidden_files_and_folders_are_no_photos(people: Path) -> None:
    put(people, ".thumbnails/deep/1.jpg", photo("x"))
    put(people, "a/.1.jpg", photo("a"))
    assert len(read_people(people)) == 18
