"""What training keeps of a person goes with the person, and nobody else's goes with it."""

import json
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import JobConflictError, StorageError
from app.domain.training import JobState
from app.services.training_traces import TrainingRemoved, TrainingTraces
from app.storage.database import Database
from app.storage.job_rows import JobRows
from tests.services.trained import ANNA, BEN, Trained, sha256
from tests.services.world import training_places

ABOUT_ANNA, ABOUT_BEN = "1" * 32, "2" * 32


class Kept(Trained):
    """A disk, and an erasure of it."""

    def __init__(self, root: Path) -> None:
        database = Database(f"sqlite:///{root / 'facetwin.sqlite'}")
        database.migrate()
        super().__init__(root, database)
        self.traces = TrainingTraces(database, training_places(root))

    def begin(self, hashes: Collection[str] = (), *, is_enrolled: bool = True) -> None:
        self.traces.erase("anna", "pseudonym", hashes, is_enrolled=is_enrolled)

    def finish(self) -> TrainingRemoved | None:
        with self.database.write_apart() as connection:
            return self.traces.finish(connection, "anna", "pseudonym")

    def erase(
        self, hashes: Collection[str] = (), *, is_enrolled: bool = True
    ) -> TrainingRemoved | None:
        self.begin(hashes, is_enrolled=is_enrolled)
        return self.finish()

    def notes(self) -> int:
        with self.database.read_apart() as connection:
            count: int = connection.exec_driver_sql(
                "SELECT count(*) FROM training_erasures"
            ).scalar_one()
            return count


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_photos_in_folders_of_the_name_go_and_others_stay(kept: Kept) -> None:
    for role in ("anchor", "positive", "negative"):
        kept.put(f"data/{role}/Anna/1.jpg", ANNA)
        kept.put(f"data/{role}/ben/1.jpg", BEN)
        kept.put(f"data/{role}/anna.jpg", BEN)
    assert kept.erase() == TrainingRemoved(files=3)
    assert kept.left() == {
        f"data/{role}/{name}"
        for role in ("anchor", "positive", "negative")
        for name in ("ben/1.jpg", "anna.jpg")
    }
    assert not list(kept.root.glob("data/*/Anna"))
    assert kept.notes() == 0
    assert kept.erase() is None


def test_jobs_about_the_person_go_with_their_files_and_rows(kept: Kept) -> None:
    kept.job(ABOUT_ANNA, "Anna")
    kept.job(ABOUT_BEN, "ben")
    for job_id in (ABOUT_ANNA, ABOUT_BEN):
        kept.put(f"training/jobs/{job_id}/report.html")
        kept.put(f"training/jobs/{job_id}/checkpoints/step-1.npz")
        kept.put(f"training/jobs/{job_id}/state.json", b'{"version": "v%s"}' % job_id[:1].encode())
        kept.put(f"model/.building-v{job_id[:1]}/embedding.tflite")
    assert kept.erase() == TrainingRemoved(files=3)
    assert not any(ABOUT_ANNA in path or "building-v1" in path for path in kept.left())
    assert len(kept.left()) == 4
    assert kept.jobs() == {ABOUT_BEN}
    assert kept.log(ABOUT_BEN) == ["a line"]


def test_a_job_about_another_person_loses_what_it_had_of_a_photo(kept: Kept) -> None:
    kept.job(ABOUT_BEN, "ben", JobState.FAILED, ["negative/Anna/1.jpg looks like the owner"])
    kept.put("data/negative/Anna/1.jpg", ANNA)
    kept.split(f"training/jobs/{ABOUT_BEN}", ANNA, BEN)
    kept.put(f"training/jobs/{ABOUT_BEN}/report.html")
    kept.erase()
    assert kept.left() == set()
    # The job itself is not about her, but what it said was.
    assert kept.jobs() == {ABOUT_BEN}
    assert kept.log(ABOUT_BEN) == []
    with kept.database.read_apart() as connection:
        job = JobRows(connection).get(ABOUT_BEN)
    assert job is not None
    assert job.error is not None
    assert job.error.code == "training_data_invalid"
    assert "Anna" not in str(job)


@pytest.mark.parametrize("place", ["report.json", "log"])
def test_a_job_that_came_to_no_split_is_found_by_what_it_said(kept: Kept, place: str) -> None:
    said = "2 photos are unusable: negative/anna/1.jpg"
    kept.job(ABOUT_BEN, "ben", JobState.FAILED, [said if place == "log" else "a line"])
    kept.job("3" * 32, "ben", JobState.FAILED, ["negative/annabel/1.jpg is unusable"])
    kept.put("data/negative/anna/1.jpg", ANNA)
    kept.put(f"training/jobs/{'3' * 32}/report.json", b'{"file": "negative/annabel/1.jpg"}')
    if place == "report.json":
        kept.put(f"training/jobs/{ABOUT_BEN}/report.json", json.dumps({"file": said}).encode())
    kept.erase()
    assert kept.log(ABOUT_BEN) == []
    assert kept.left() == {f"training/jobs/{'3' * 32}/report.json"}
    assert kept.log("3" * 32) != []


def test_references_of_the_person_are_found_in_splits(kept: Kept) -> None:
    kept.split(f"training/jobs/{ABOUT_BEN}", ANNA, BEN)
    assert kept.erase() is None
    assert kept.erase([sha256(ANNA)]) == TrainingRemoved(files=1)


def test_the_cache_of_crops_goes_if_it_may_show_the_person(kept: Kept) -> None:
    kept.crop(BEN)
    assert kept.erase([sha256(ANNA)]) is None
    kept.crop(ANNA)
    assert kept.erase([sha256(ANNA)]) == TrainingRemoved()
    assert kept.left() == set()


def test_bundles_are_named_and_their_split_forgets_the_person_alone(kept: Kept) -> None:
    kept.bundle("about", "anna", BEN)
    kept.bundle("with", None, ANNA, BEN)
    kept.bundle("without", "ben", BEN)
    before = {p: (kept.root / p).read_bytes() for p in kept.left() if "/with/" not in p}
    assert kept.erase([sha256(ANNA)]) == TrainingRemoved(models=("about", "with"))
    photos = json.loads((kept.root / "model/with/split.json").read_bytes())["photos"]
    assert [p["sha256"] for p in photos] == [sha256(BEN)]
    assert {p: (kept.root / p).read_bytes() for p in before} == before
    # A bundle that is about her stays, so it is no reason to erase who is not there any more.
    assert kept.erase(is_enrolled=False) is None
    assert kept.erase() == TrainingRemoved(models=("about",))


def test_photos_in_no_folder_of_the_name_are_known_by_who_was_trained_on_them(kept: Kept) -> None:
    """As the seed tutorial has them: data/anchor/1.jpg."""
    kept.put("data/anchor/1.jpg", ANNA)
    again = b"another photo of Anna"
    kept.bundle("about", "anna", BEN, owners=[ANNA, again])
    kept.bundle("later", "ben", ANNA, owners=[BEN])
    kept.bundle(".deleted-about", "anna", BEN)
    kept.crop(again)
    kept.job(ABOUT_BEN, "ben")
    kept.split(f"training/jobs/{ABOUT_BEN}", again, owners=[BEN])
    assert kept.erase() == TrainingRemoved(files=1, models=("about", "later"))
    splits = {p: (kept.root / p).read_bytes() for p in kept.left() if p.endswith("split.json")}
    assert splits.keys() == {"model/about/split.json", "model/later/split.json"}
    for split in splits.values():
        assert [p["sha256"] for p in json.loads(split)["photos"]] == [sha256(BEN)]
    assert not list(kept.root.glob("training/crops/*/*"))
    assert kept.erase(is_enrolled=False) is None


def test_photos_of_a_job_about_the_person_are_hers_wherever_they_lay(kept: Kept) -> None:
    kept.bundle("without_owner", None, ANNA, BEN)
    kept.job(ABOUT_ANNA, "anna")
    kept.split(f"training/jobs/{ABOUT_ANNA}", BEN, owners=[ANNA])
    assert kept.erase() == TrainingRemoved(files=1, models=("without_owner",))
    photos = json.loads((kept.root / "model/without_owner/split.json").read_bytes())["photos"]
    assert [p["sha256"] for p in photos] == [sha256(BEN)]


def test_a_damaged_split_of_a_bundle_about_the_person_goes(kept: Kept) -> None:
    kept.bundle("about", "anna")
    kept.bundle("other", "ben")
    for version in ("about", "other"):
        kept.put(f"model/{version}/split.json", b'["' + sha256(ANNA).encode())
    kept.erase()
    left = {path for path in kept.left() if path.endswith("split.json")}
    assert left == {"model/other/split.json"}


@pytest.mark.parametrize("damaged", ['["%s', '{"photos": [1, "%s"]}', '{"photo": "%s"}'])
def test_a_split_that_nobody_can_read_goes(kept: Kept, damaged: str) -> None:
    kept.bundle("with", None, ANNA)
    split = kept.put("model/with/split.json", damaged.replace("%s", sha256(ANNA)).encode())
    kept.erase([sha256(ANNA)])
    assert not split.exists()


def test_what_is_left_of_a_deleted_bundle_goes(kept: Kept) -> None:
    kept.bundle(".deleted-with", None, ANNA)
    kept.bundle(".deleted-without", None, BEN)
    assert kept.erase([sha256(ANNA)]) == TrainingRemoved()
    assert {Path(path).parent.name for path in kept.left()} == {".deleted-without"}


def test_what_processes_have_printed_goes_if_it_names_a_photo(kept: Kept) -> None:
    log = kept.put("training/worker.log", b"OSError: /srv/data/anchor/Anna/1.jpg")
    kept.erase()
    assert log.stat().st_size > 0
    kept.put("data/anchor/anna/1.jpg", ANNA)
    kept.erase()
    assert log.stat().st_size == 0


def test_nothing_goes_while_a_job_could_write_it_anew(kept: Kept) -> None:
    kept.put("data/anchor/anna/1.jpg", ANNA)
    kept.job("3" * 32, "ben", JobState.RUNNING)
    with pytest.raises(JobConflictError, match="3" * 32):
        kept.erase()
    assert kept.left() == {"data/anchor/anna/1.jpg"}
    assert kept.notes() == 0


def test_a_job_about_the_person_must_not_wait_either(kept: Kept) -> None:
    kept.job("3" * 32, "Anna", JobState.QUEUED)
    with pytest.raises(JobConflictError, match="3" * 32):
        kept.erase()
    assert kept.jobs() == {"3" * 32}


def test_who_never_trained_is_not_kept_waiting_by_a_job(kept: Kept) -> None:
    kept.job("3" * 32, "ben", JobState.RUNNING)
    kept.crop(BEN)
    assert kept.erase([sha256(ANNA)]) is None


def test_a_job_of_others_that_waits_does_not_hinder(kept: Kept) -> None:
    kept.put("data/anchor/anna/1.jpg", ANNA)
    kept.job("3" * 32, "ben", JobState.QUEUED)
    assert kept.erase() == TrainingRemoved(files=1)


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.FAILED])
def test_a_job_that_began_meanwhile_is_noticed(kept: Kept, state: JobState) -> None:
    kept.put("data/anchor/anna/1.jpg", ANNA)
    kept.begin()
    kept.job("3" * 32, "ben", state)
    kept.split(f"training/jobs/{'3' * 32}", ANNA)
    with pytest.raises(JobConflictError):
        kept.finish()
    if state is JobState.RUNNING:
        with pytest.raises(JobConflictError):
            kept.begin()
        with kept.database.write_apart() as connection:
            connection.exec_driver_sql("UPDATE training_jobs SET state = 'cancelled'")
    # The photo is gone, but not forgotten which one it was.
    assert kept.erase() == TrainingRemoved(files=1)
    assert kept.left() == set()


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.FAILED])
def test_a_job_about_the_person_that_came_meanwhile_is_noticed(kept: Kept, state: JobState) -> None:
    kept.begin()
    kept.job("3" * 32, "anna", state)
    with pytest.raises(JobConflictError):
        kept.finish()


def test_links_go_and_are_not_followed(
    kept: Kept, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "photo.jpg").write_bytes(ANNA)
    (kept.root / "data/anchor").mkdir(parents=True)
    (kept.root / "data/anchor/anna").symlink_to(elsewhere)
    (kept.root / "data/positive/anna").mkdir(parents=True)
    (kept.root / "data/positive/anna/photo.jpg").symlink_to(elsewhere / "photo.jpg")
    assert kept.erase() == TrainingRemoved(files=2)
    assert kept.left() == set()
    assert (elsewhere / "photo.jpg").exists()


def fill(kept: Kept) -> None:
    kept.put("data/negative/anna/1.jpg", ANNA)
    kept.put("data/anchor/anna/2.jpg", b"another")
    kept.job(ABOUT_ANNA, "anna")
    kept.put(f"training/jobs/{ABOUT_ANNA}/report.html")
    kept.job(ABOUT_BEN, "ben")
    kept.split(f"training/jobs/{ABOUT_BEN}", ANNA, BEN)
    kept.crop(ANNA)
    kept.bundle("about", "anna", BEN)
    kept.bundle("with", None, ANNA, BEN)


def test_what_is_interrupted_anywhere_is_finished_by_asking_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops = 0
    for at in range(100):
        (tmp_path / str(at)).mkdir()
        kept = Kept(tmp_path / str(at))
        fill(kept)
        with monkeypatch.context() as patched:
            steps = iter(range(at))

            def counted(real: Any, steps: Any = steps) -> Any:
                def step(*args: Any, **options: Any) -> Any:
                    if next(steps, None) is None:
                        raise OSError(30, "Read-only file system")
                    return real(*args, **options)

                return step

            for name in ("unlink", "rmdir", "fsync", "replace"):
                patched.setattr(os, name, counted(getattr(os, name)))
            try:
                kept.begin()
                stopped = False
            except StorageError:
                stopped = True
        stops += stopped
        # Whoever asks again may not know the hashes of photos any more.
        assert kept.erase() == TrainingRemoved(files=4, models=("about", "with"))
        assert kept.left() == {
            f"model/{version}/{name}"
            for version in ("about", "with")
            for name in ("calibration.json", "split.json")
        }
        assert sha256(ANNA) not in (kept.root / "model/with/split.json").read_text("utf-8")
        assert kept.jobs() == {ABOUT_BEN}
        assert kept.notes() == 0
        kept.database.close()
        shutil.rmtree(kept.root)
        if not stopped:
            break
    assert stops > 15
