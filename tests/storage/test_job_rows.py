import pytest
from sqlalchemy import delete

from app.domain.training import (
    Activation,
    Crop,
    JobOutcome,
    JobState,
    Judgement,
    Pooling,
    Preset,
    Stage,
    TrainingOptions,
)
from app.domain.training_jobs import JobEnding, JobFailure, JobProgress, LogLine
from app.storage.database import Database
from app.storage.job_json import failure_from_json, failure_to_json
from app.storage.job_rows import MAX_LINES, MAX_MESSAGE, JobLogRows, JobRows
from app.storage.tables import TrainingJob

OPTIONS = TrainingOptions(
    preset=Preset.SEED,
    subject="Anna",
    version="anna-1",
    activate=Activation.ALWAYS,
    seed=7,
    epochs=3,
    crop=Crop.CENTRAL,
    pooling=Pooling.SMALL,
)
A, B, C = "a" * 32, "b" * 32, "c" * 32


def add(database: Database, *job_ids: str, options: TrainingOptions = OPTIONS) -> None:
    with database.write_apart() as connection:
        for job_id in job_ids:
            JobRows(connection).add(job_id, options.subject.casefold(), options, "then")


def test_a_new_job_is_what_it_was_asked_for(database: Database) -> None:
    add(database, A)
    with database.read_apart() as connection:
        job = JobRows(connection).get(A)
        assert JobRows(connection).get(B) is None
    assert job is not None
    assert job.options == OPTIONS
    assert (job.state, job.queue_position, job.attempts) == (JobState.QUEUED, 1, 0)
    assert (job.created_at, job.started_at, job.ended_at) == ("then", None, None)
    assert [job.progress, job.error, job.outcome, job.stage] == [None] * 4


def test_jobs_are_begun_in_their_order(database: Database) -> None:
    add(database, A, B, C)
    with database.write_apart() as connection:
        rows = JobRows(connection)
        assert [job.queue_position for job in rows.newest(9)] == [3, 2, 1]
        assert [job.job_id for job in rows.newest(2)] == [C, B]
        first = rows.begin_next("now")
        assert first is not None
        assert (first.job_id, first.state, first.attempts) == (A, JobState.RUNNING, 1)
        assert (first.started_at, first.heartbeat_at) == ("now", "now")
        assert first.queue_position is None
        assert [(job.job_id, job.queue_position) for job in rows.alive()] == [
            (A, None),
            (B, 1),
            (C, 2),
        ]
        rows.end(A, JobEnding(JobState.FAILED, JobFailure("x", "why")), "later")
        rows.requeue(A)
        begun = [job.job_id for job in iter(lambda: rows.begin_next("now"), None)]
        assert begun == [B, C, A]
        counts = rows.counts()
    assert counts[JobState.RUNNING] == 3
    assert sum(counts.values()) == 3


def test_a_job_that_begins_again_has_nothing_of_its_last_attempt(database: Database) -> None:
    add(database, A)
    with database.write_apart() as connection:
        rows = JobRows(connection)
        rows.begin_next("1")
        rows.beat(A, Stage.TRAIN, JobProgress(1, 2), "2")
        rows.request_cancel(A)
        rows.end(A, JobEnding(JobState.INTERRUPTED, JobFailure("interrupted", "why")), "3")
        rows.requeue(A)
        job = rows.begin_next("4")
    assert job is not None
    assert (job.attempts, job.started_at, job.created_at) == (2, "4", "then")
    assert [job.progress, job.stage, job.error, job.ended_at] == [None] * 4
    assert not job.cancel_requested
    assert job.options == OPTIONS


def test_a_failure_that_an_earlier_version_wrote_is_read() -> None:
    problems = [{"code": "few", "message": "More."}]
    written = {"code": "training_data_invalid", "message": "Bad: More.", "problems": problems}
    failure = failure_from_json(written)
    assert failure == JobFailure("training_data_invalid", "Bad:", tuple(problems))
    assert failure.message == written["message"]
    again = failure_to_json(JobFailure("training_data_invalid", "Bad:", tuple(problems)))
    assert again == written | {"heading": "Bad:"}


def test_progress_and_ending_come_back_as_they_were(database: Database) -> None:
    add(database, A)
    progress = JobProgress(3, 10, "pairs", 2, 0.25, 12.5)
    failure = JobFailure("training_data_invalid", "why", ({"code": "few", "message": "more"},))
    outcome = JobOutcome("anna-1", Judgement.BETTER, activated=True, reasons=("one", "two"))
    with database.write_apart() as connection:
        rows = JobRows(connection)
        rows.begin_next("1")
        rows.beat(A, Stage.TRAIN, progress, "2")
        beaten = rows.get(A)
        assert rows.end(A, JobEnding(JobState.SUCCEEDED, failure, outcome), "3")
        ended = rows.get(A)
        assert not rows.end(A, JobEnding(JobState.FAILED), "4")
        rows.beat(A, None, None, "5")
        assert rows.get(A) == ended
    assert beaten is not None
    assert (beaten.stage, beaten.progress, beaten.heartbeat_at) == (Stage.TRAIN, progress, "2")
    assert ended is not None
    assert (ended.error, ended.outcome, ended.ended_at) == (failure, outcome, "3")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_left_out(database: Database, number: float) -> None:
    add(database, A)
    with database.write_apart() as connection:
        rows = JobRows(connection)
        rows.begin_next("1")
        rows.beat(A, Stage.TRAIN, JobProgress(1, 2, loss=number, eta_seconds=number), "2")
        job = rows.get(A)
    assert job is not None
    assert job.progress == JobProgress(1, 2)


def test_a_job_is_cancelled_if_someone_said_so_or_it_is_gone(database: Database) -> None:
    add(database, A)
    with database.write_apart() as connection:
        rows = JobRows(connection)
        assert not rows.is_cancelled(A)
        rows.request_cancel(A)
        assert rows.is_cancelled(A)
        assert rows.is_cancelled(B)


def test_lines_are_numbered_within_their_job(database: Database) -> None:
    add(database, A, B)
    with database.write_apart() as connection:
        log = JobLogRows(connection)
        log.append(A, [("1", "one"), ("2", "x" * (MAX_MESSAGE + 1))])
        log.append(B, [("3", "other")])
        log.append(A, [("4", "three")])
        log.append(C, [("5", "nobody's")])
        log.append(A, [])
        assert [line.number for line in log.lines(A)] == [1, 2, 3]
        assert log.lines(A, after=2) == [LogLine(3, "4", "three")]
        assert len(log.lines(A)[1].message) == MAX_MESSAGE
        assert log.lines(B) == [LogLine(1, "3", "other")]
        assert log.lines(C) == []


def test_a_log_has_an_end(database: Database) -> None:
    add(database, A)
    with database.write_apart() as connection:
        log = JobLogRows(connection)
        log.append(A, [("1", f"line {i}") for i in range(MAX_LINES - 1)])
        log.append(A, [("2", "the last"), ("3", "over")])
        log.append(A, [("4", "far over")])
        lines = log.lines(A, after=MAX_LINES - 2)
    assert [line.number for line in lines] == [MAX_LINES - 1, MAX_LINES]
    assert lines[0].message == f"line {MAX_LINES - 2}"
    assert "full" in lines[1].message


def test_with_a_job_its_log_goes(database: Database) -> None:
    add(database, A)
    with database.write_apart() as connection:
        JobLogRows(connection).append(A, [("1", "one")])
        connection.execute(delete(TrainingJob))
        assert JobLogRows(connection).lines(A) == []


def test_jobs_are_no_change_of_the_gallery(database: Database) -> None:
    before = database.revision()
    add(database, A)
    assert database.revision() == before
