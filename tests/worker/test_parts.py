"""The parts of the worker that need no process of their own."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.domain.errors import StorageError, TrainingDataError
from app.domain.training import (
    Crop,
    JobPlaces,
    JobState,
    JobStoppedError,
    Preset,
    Stage,
    TrainingOptions,
)
from app.domain.training_jobs import JobProgress
from app.services.training_queue import JobNote, TrainingQueue
from app.settings import Settings
from app.worker.channel import LOG, PROGRESS, STAGE, Receiver, Sender
from app.worker.diary import BEAT_SECONDS, WRITE_SECONDS, Diary, Pace
from app.worker.handover import Assignment, read_handover, write_handover
from app.worker.job import failure_of, places_of
from app.worker.limits import resident_bytes
from app.worker.lock import WorkerLock
from app.worker.log_file import MAX_BYTES, open_log, trim_log
from app.worker.monitor import INTERVAL_SECONDS, ChannelMonitor


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def pipe() -> Iterator[tuple[Sender, Receiver, Callable[[], None]]]:
    reader, writer = os.pipe()
    receiver = Receiver(reader)
    yield Sender(writer), receiver, lambda: os.close(writer)
    receiver.close()


Pipe = tuple[Sender, Receiver, Callable[[], None]]


def test_messages_arrive_whole_and_the_end_is_noticed(pipe: Pipe) -> None:
    sender, receiver, close = pipe
    sender.send(LOG, message="ä" * 5_000)
    os.write(sender._descriptor, b'{"kind": "progress", ')
    (first,) = receiver.receive(1)
    assert first == {"kind": LOG, "message": "ä" * 5_000}
    os.write(sender._descriptor, b'"done": 1}\n')
    assert receiver.receive(1) == [{"kind": PROGRESS, "done": 1}]
    assert receiver.receive(0) == []
    assert not receiver.ended
    close()
    assert receiver.receive(1) == []
    assert receiver.ended


def test_messages_of_several_threads_do_not_mix(pipe: Pipe) -> None:
    sender, receiver, close = pipe

    def talk(n: int) -> None:
        for _ in range(200):
            sender.send(LOG, n=n)

    threads = [threading.Thread(target=talk, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    heard: list[Any] = []
    while len(heard) < 800:
        heard += receiver.receive(10)
    for thread in threads:
        thread.join()
    close()
    assert sorted(message["n"] for message in heard) == sorted([0, 1, 2, 3] * 200)


def test_a_monitor_tells_what_begins_what_ends_and_little_between(pipe: Pipe) -> None:
    sender, receiver, close = pipe
    clock = Clock()
    monitor = ChannelMonitor(sender, lambda: False, clock=clock)
    monitor.stage(Stage.TRAIN)
    for step in range(1, 101):
        monitor.progress(step, 100, what="pairs", epoch=1, loss=0.5)
    monitor.progress(1, 100, what="pairs", epoch=2)
    clock.now += INTERVAL_SECONDS
    monitor.progress(2, 100, what="pairs", epoch=2)
    monitor.log("a line")
    heard = receiver.receive(1)
    close()

    assert [(m["kind"], m.get("done"), m.get("epoch")) for m in heard] == [
        (STAGE, None, None),
        (PROGRESS, 1, 1),
        (PROGRESS, 100, 1),
        (PROGRESS, 1, 2),
        (PROGRESS, 2, 2),
        (LOG, None, None),
    ]


def test_a_monitor_stops_the_job_but_lets_it_log(pipe: Pipe) -> None:
    sender, _, close = pipe
    monitor = ChannelMonitor(sender, lambda: True)
    monitor.log("still here")
    with pytest.raises(JobStoppedError):
        monitor.stage(Stage.CHECK)
    with pytest.raises(JobStoppedError):
        monitor.progress(1, 2)
    close()


def test_the_pace_is_that_of_the_steps_since_the_first_report() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.eta_seconds(Stage.TRAIN, JobProgress(50, 100)) is None
    clock.now += 0.5
    assert pace.eta_seconds(Stage.TRAIN, JobProgress(55, 100)) is None
    clock.now += 9.5
    # 10 steps in 10 s, though 60 are done: the first 50 came from a checkpoint.
    assert pace.eta_seconds(Stage.TRAIN, JobProgress(60, 100)) == 40.0
    assert pace.eta_seconds(Stage.TRAIN, JobProgress(100, 100)) == 0.0


@pytest.mark.parametrize(
    ("stage", "progress"),
    [
        (Stage.EVALUATE, JobProgress(20, 100)),
        (Stage.TRAIN, JobProgress(20, 100, "other")),
        (Stage.TRAIN, JobProgress(20, 200)),
        (Stage.TRAIN, JobProgress(5, 100)),
    ],
)
def test_another_count_has_a_pace_of_its_own(stage: Stage, progress: JobProgress) -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.eta_seconds(Stage.TRAIN, JobProgress(10, 100))
    clock.now += 10
    assert pace.eta_seconds(stage, progress) is None


class Notes(TrainingQueue):
    """Keeps what is written, or has a full disk."""

    def __init__(self) -> None:
        self.written: list[JobNote] = []
        self.full = False

    def note(self, job_id: str, note: JobNote) -> None:
        if self.full:
            raise StorageError("The disk is full.")
        self.written.append(JobNote(note.stage, note.progress, list(note.lines)))


def _progress(done: int) -> dict[str, Any]:
    counts = {"kind": PROGRESS, "done": done, "total": 9}
    return {**counts, "what": None, "epoch": None, "loss": None}


def test_a_diary_is_written_at_most_twice_a_second() -> None:
    clock, notes = Clock(), Notes()
    diary = Diary(notes, "a" * 32, clock=clock)
    diary.take({"kind": STAGE, "stage": "train"})
    for done in range(1, 9):
        clock.now += WRITE_SECONDS / 4
        diary.take(_progress(done))
        diary.write()

    assert [note.progress and note.progress.done for note in notes.written] == [4, 8]
    assert notes.written[0].stage is Stage.TRAIN
    clock.now += BEAT_SECONDS - 0.1
    diary.write()
    assert len(notes.written) == 2
    clock.now += 0.1
    diary.write()
    # Nothing is new but that the job is alive.
    assert notes.written[2] == notes.written[1]
    diary.close()
    assert len(notes.written) == 3


def test_what_cannot_be_written_is_written_later() -> None:
    clock, notes = Clock(), Notes()
    notes.full = True
    diary = Diary(notes, "a" * 32, clock=clock)
    diary.take({"kind": LOG, "at": "1", "message": "one"})
    clock.now += 1
    diary.write()
    diary.take({"kind": LOG, "at": "2", "message": "two"})
    notes.full = False
    diary.close()

    assert [note.lines for note in notes.written] == [[("1", "one"), ("2", "two")]]


def test_the_lock_is_for_one(tmp_path: Path) -> None:
    lock, other = WorkerLock(tmp_path / "new"), WorkerLock(tmp_path / "new")
    assert lock.holder() is None
    with lock.held(0) as held:
        assert held is not None
        assert other.holder() == os.getpid()
        with other.held(0.1) as second:
            assert second is None
        with other.idle() as is_idle:
            assert not is_idle
    with other.idle() as first, lock.idle() as second_look:
        assert first
        assert second_look
        with lock.held(0) as held:
            assert held is None
    with other.held(0) as held:
        assert held is not None


def test_the_lock_waits_for_who_only_looks(tmp_path: Path) -> None:
    lock, looking = WorkerLock(tmp_path), threading.Event()

    def look() -> None:
        with WorkerLock(tmp_path).idle():
            looking.set()
            threading.Event().wait(0.2)

    thread = threading.Thread(target=look)
    thread.start()
    assert looking.wait(10)
    with lock.held(30) as held:
        assert held is not None
    thread.join()


def test_settings_are_handed_over_whole_but_for_keys_of_callers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        application_data_dir=tmp_path / "data",
        model_dir=tmp_path / "model",
        database_url=f"sqlite:///{tmp_path}/other.sqlite",
        encryption_key=SecretStr("secret-of-the-gallery"),
        api_keys=(SecretStr("admin:a-key-of-a-caller-1"),),
        training_hours=0.5,
        max_fmr=0.01,
    )
    monkeypatch.setenv("FACETWIN_TRAINING_HOURS", "3")
    monkeypatch.setenv("FACETWIN_APPLICATION_DATA_DIR", "elsewhere")
    data = write_handover(settings)
    found, assignment = read_handover(data)

    assert assignment is None
    assert b"a-key-of-a-caller" not in data
    assert found == settings.model_copy(update={"api_keys": ()})
    assert read_handover(b"")[0].training_hours == 3


def test_a_job_is_handed_over_whole() -> None:
    options = TrainingOptions(preset=Preset.SEED, crop=Crop.CENTRAL, version="v", epochs=3)
    assignment = Assignment("a" * 32, options, 7, 4711)
    assert read_handover(write_handover(Settings(), assignment))[1] == assignment


def test_the_problems_of_the_photos_are_told() -> None:
    problems = [{"code": "few", "message": "Add photos.", "files": ["Anna.jpg"]}]
    failure = failure_of(TrainingDataError.of(problems, "Bad photos:"))
    assert failure.problems == ({"code": "few", "message": "Add photos."},)
    assert (failure.code, failure.heading) == ("training_data_invalid", "Bad photos:")
    assert failure_of(TrainingDataError("Two people are needed.")).heading == (
        "Two people are needed."
    )


@pytest.mark.parametrize("problems", [[7], [{"code": "few"}], None])
def test_a_failure_that_can_not_be_put_into_words_is_a_failure(problems: object) -> None:
    failure = failure_of(TrainingDataError("Bad photos.", problems=problems))
    assert failure.code == "internal_error"
    assert "TrainingDataError" in failure.message


def test_errors_of_tensorflow_for_memory_are_known_by_name() -> None:
    error = type("ResourceExhaustedError", (Exception,), {})("OOM when allocating")
    assert failure_of(error).code == "training_limit_exceeded"


def test_the_workers_output_is_bounded_while_it_is_written(tmp_path: Path) -> None:
    descriptor = open_log(tmp_path)
    try:
        line = b"x" * 99 + b"\n"
        os.write(descriptor, line * 10)
        trim_log(tmp_path)
        path = tmp_path / "worker.log"
        assert path.stat().st_size == 1000
        os.write(descriptor, line * (MAX_BYTES // 100) + b"the end\n")
        trim_log(tmp_path)
        os.write(descriptor, b"after\n")
    finally:
        os.close(descriptor)
    data = path.read_bytes()
    assert 100_000 < len(data) < MAX_BYTES // 4
    assert data.endswith(b"\nthe end\nafter\n")
    assert data.startswith(line)
    assert path.stat().st_mode & 0o777 == 0o600


def test_memory_is_read_of_any_process_and_of_none() -> None:
    assert resident_bytes(os.getpid()) > 10 * 1024**2
    assert resident_bytes(2**22 + 1) == 0


def test_states_of_jobs_have_short_names() -> None:
    assert all(len(state.value) <= 16 for state in (*JobState, *Stage))


def test_a_job_takes_the_photos_that_the_service_takes() -> None:
    settings = Settings()
    places, given = (
        places_of(each, "1" * 32)
        for each in (
            settings,
            settings.model_copy(
                update={"max_image_bytes": 2048, "max_image_pixels": 5000, "training_threads": 7}
            ),
        )
    )
    assert (given.max_image_bytes, given.max_image_pixels) == (2048, 5000)
    assert given.threads == 7
    alone = JobPlaces(
        places.data_dir,
        places.model_dir,
        places.work_dir,
        places.crops_dir,
        places.threads,
        places.max_fmr,
    )
    assert alone == places
