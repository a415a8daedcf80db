"""What training keeps of a person goes with the person, and nobody else's goes with it."""

import hashlib
import json
from pathlib import Path

import pytest

from app.domain.clock import utc_now
from app.domain.errors import JobConflictError, StorageError
from app.domain.training import JobState, TrainingOptions
from app.domain.training_jobs import JobEnding
from app.services.training_traces import TrainingPlaces, TrainingRemoved, TrainingTraces
from app.storage.database import Database
from app.storage.job_rows import JobLogRows, JobRows

ANNA, BEN = b"a photo of Anna", b"a photo of Ben"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Kept:
    """Files and rows of trainings on a disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.places = TrainingPlaces(root / "data", root / "training", root / "model")
        self.database = Database(f"sqlite:///{root / 'facetwin.sqlite'}")
        self.database.migrate()
        self.traces = TrainingTraces(self.database, self.places)

    def put(self, path: str, content: bytes = b"x") -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def split(self, folder: str, *photos: bytes) -> Path:
        document = {"seed": 1, "photos": [{"sha256": sha256(p), "side": "test"} for p in photos]}
        return self.put(f"{folder}/split.json", json.dumps(document).encode())

    def job(self, job_id: str, subject: str, state: JobState = JobState.SUCCEEDED) -> None:
        with self.database.write_apart() as connection:
            rows = JobRows(connection)
            rows.add(job_id, subject.casefold(), TrainingOptions(subject=subject), utc_now())
            rows.begin_next(utc_now())
            JobLogRows(connection).append(job_id, [(utc_now(), "a line")])
            if state.ended:
                rows.end(job_id, JobEnding(state), utc_now())

    def jobs(self) -> set[str]:
        with self.database.read_apart() as connection:
            return {job.job_id for job in JobRows(connection).newest(10)}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_photos_in_folders_of_the_name_go_and_others_stay(kept: Kept) -> None:
    for role in ("anchor", "positive", "negative"):
        kept.put(f"data/{role}/Anna/1.jpg", ANNA)
        kept.put(f"data/{role}/ben/1.jpg", BEN)
        kept.put(f"data/{role}/anna.jpg", BEN)
    removed = kept.traces.erase("anna")
    assert removed == TrainingRemoved(files=3)
    left = {str(p.relative_to(kept.root)) for p in (kept.root / "data").rglob("*.jpg")}
    assert left == {
        f"data/{role}/{name}"
        for role in ("anchor", "positive", "negative")
        for name in ("ben/1.jpg", "anna.jpg")
    }


def test_jobs_about_the_person_go_with_their_files_and_rows(kept: Kept) -> None:
    kept.job("1" * 32, "Anna")
    kept.job("2" * 32, "ben")
    for job_id in ("1" * 32, "2" * 32):
        kept.put(f"training/jobs/{job_id}/report.html")
        kept.put(f"training/jobs/{job_id}/checkpoints/step-1.npz")
    assert kept.traces.erase("anna").files == 2
    assert not (kept.root / "training/jobs" / ("1" * 32)).exists()
    assert (kept.root / "training/jobs" / ("2" * 32) / "report.html").exists()
    assert kept.jobs() == {"2" * 32}


def test_a_job_about_another_person_loses_its_files_if_it_had_a_photo(kept: Kept) -> None:
    kept.job("2" * 32, "ben")
    kept.put("data/negative/anna/1.jpg", ANNA)
    kept.split("training/jobs/" + "2" * 32, ANNA, BEN)
    kept.put("training/jobs/" + "2" * 32 + "/report.html")
    kept.traces.erase("anna")
    assert not (kept.root / "training/jobs" / ("2" * 32)).exists()
    # The job itself is not about her.
    assert kept.jobs() == {"2" * 32}


def test_references_of_the_person_are_found_in_splits(kept: Kept) -> None:
    kept.split("training/jobs/" + "2" * 32, ANNA, BEN)
    assert kept.traces.erase("anna").files == 0
    assert kept.traces.erase("anna", [sha256(ANNA)]).files == 1


def test_the_cache_of_crops_goes_as_any_may_show_the_person(kept: Kept) -> None:
    kept.put("training/crops/ab/cd.npz")
    kept.traces.erase("anna")
    assert not (kept.root / "training/crops").exists()


def test_bundles_are_named_and_their_split_forgets_the_person_alone(kept: Kept) -> None:
    kept.put("model/about/calibration.json", b'{"subject": "anna", "buckets": {}}')
    kept.put("model/with/calibration.json", b'{"buckets": {}}')
    kept.put("model/without/calibration.json", b'{"buckets": {}}')
    kept.split("model/with", ANNA, BEN)
    other = kept.split("model/without", BEN).read_bytes()
    assert kept.traces.erase("anna", [sha256(ANNA)]).models == ("about", "with")
    photos = json.loads((kept.root / "model/with/split.json").read_bytes())["photos"]
    assert [p["sha256"] for p in photos] == [sha256(BEN)]
    assert (kept.root / "model/without/split.json").read_bytes() == other


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
def test_nothing_goes_while_a_job_could_write_it_anew(kept: Kept, state: JobState) -> None:
    kept.put("data/anchor/anna/1.jpg", ANNA)
    kept.job("3" * 32, "ben", state)
    with pytest.raises(JobConflictError, match="3" * 32):
        kept.traces.erase("anna")
    assert (kept.root / "data/anchor/anna/1.jpg").exists()


def test_who_never_trained_is_not_kept_waiting_by_a_job(kept: Kept) -> None:
    kept.job("3" * 32, "ben", JobState.RUNNING)
    assert kept.traces.erase("anna") == TrainingRemoved()


def test_a_link_is_not_followed(kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "photo.jpg").write_bytes(ANNA)
    (kept.root / "data/anchor").mkdir(parents=True)
    (kept.root / "data/anchor/anna").symlink_to(elsewhere)
    kept.traces.erase("anna")
    assert (elsewhere / "photo.jpg").exists()


def test_what_can_not_be_deleted_is_told_and_asked_for_again(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.put("data/anchor/anna/1.jpg", ANNA)
    kept.job("1" * 32, "anna")

    def fail(path: Path) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr("app.services.training_traces.shutil.rmtree", fail)
        with pytest.raises(StorageError):
            kept.traces.erase("anna")
    assert kept.jobs() == {"1" * 32}
    assert kept.traces.erase("anna").files == 1
    assert not kept.jobs()
