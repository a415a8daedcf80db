from collections.abc import Callable
from pathlib import Path

import pytest

from app.domain.audit import COMMAND, Actor
from app.domain.errors import (
    FacetwinError,
    InvalidRequestError,
    JobConflictError,
    JobNotFoundError,
    OverloadedError,
    ReportNotFoundError,
    TrainingUnavailableError,
)
from app.domain.training import JobOutcome, JobState, Preset, Stage, TrainingOptions
from app.domain.training_jobs import JobEnding, JobFailure, JobProgress, JobRecord
from app.services.training_jobs import MAX_QUEUED, TrainingJobs, job_folder
from app.services.training_queue import JobNote, TrainingQueue
from tests.services.world import Session, World

OPTIONS = TrainingOptions()
ENDED = [
    JobEnding(JobState.SUCCEEDED, outcome=JobOutcome("v", None, activated=False)),
    JobEnding(JobState.FAILED, JobFailure("internal_error", "why")),
    JobEnding(JobState.INTERRUPTED, JobFailure("interrupted", "why")),
    JobEnding(JobState.CANCELLED),
]


class Owner:
    """Someone with jobs, and the process that runs them."""

    def __init__(self, session: Session, root: Path) -> None:
        self.session = session
        self.training_dir, self.model_dir = root / "training", root / "model"
        self.model_dir.mkdir(exist_ok=True)
        self.woken = 0
        self.installed = True
        self.jobs = TrainingJobs(
            session.database,
            session.audit,
            self.training_dir,
            self.model_dir,
            queued=self._wake,
            installed=lambda: self.installed,
        )
        self.queue = TrainingQueue(session.database)

    def _wake(self) -> None:
        self.woken += 1

    def submit(self, **options: object) -> JobRecord:
        return self.jobs.submit(TrainingOptions(**options), COMMAND)  # type: ignore[arg-type]

    def ended(self, ending: JobEnding) -> str:
        job_id = self.submit().job_id
        claimed = self.queue.claim()
        assert claimed
        assert claimed.job_id == job_id
        self.queue.finish(job_id, ending)
        return job_id

    def audited(self) -> list[tuple[str, str | None, str | None]]:
        entries = self.session.audit.tail(100)
        return [(entry.action, entry.outcome, entry.subject) for entry in entries]


@pytest.fixture
def owner(session: Session, tmp_path: Path) -> Owner:
    return Owner(session, tmp_path)


def test_a_submitted_job_waits_and_its_process_is_told(owner: Owner) -> None:
    job = owner.jobs.submit(OPTIONS, Actor("key:1", "request-7"))

    assert (job.state, job.queue_position) == (JobState.QUEUED, 1)
    assert len(job.job_id) == 32
    assert owner.woken == 1
    assert owner.jobs.get(job.job_id) == job
    assert owner.jobs.newest(10) == [job]
    (entry,) = owner.session.audit.tail(10)
    assert (entry.action, entry.outcome, entry.actor) == ("train", "queued", "key:1")
    assert entry.subject == owner.session.audit.pseudonym("default")
    assert entry.details == {
        "job_id": job.job_id,
        "preset": "finetune",
        "request_id": "request-7",
    }


def test_jobs_are_one_list_for_all_processes(owner: Owner, world: World, tmp_path: Path) -> None:
    other = Owner(world.open(), tmp_path)
    first, second = owner.submit(), other.submit(preset=Preset.SEED)

    assert [job.job_id for job in owner.jobs.newest(10)] == [second.job_id, first.job_id]
    assert [job.queue_position for job in other.jobs.newest(10)] == [2, 1]
    assert [job.job_id for job in owner.jobs.newest(1)] == [second.job_id]


@pytest.mark.parametrize(
    "call",
    [
        lambda jobs: jobs.get("f" * 32),
        lambda jobs: jobs.log("f" * 32),
        lambda jobs: jobs.cancel("f" * 32, COMMAND),
        lambda jobs: jobs.resume("f" * 32, COMMAND),
        lambda jobs: jobs.report("f" * 32, "html"),
        lambda jobs: jobs.report("../../secret", "html"),
    ],
)
def test_a_job_that_is_not_there_is_not_found(
    owner: Owner, call: Callable[[TrainingJobs], object]
) -> None:
    with pytest.raises(JobNotFoundError):
        call(owner.jobs)


def test_without_tensorflow_nothing_is_queued(owner: Owner) -> None:
    interrupted = owner.ended(ENDED[2])
    owner.installed = False
    with pytest.raises(TrainingUnavailableError):
        owner.submit()
    with pytest.raises(TrainingUnavailableError):
        owner.jobs.resume(interrupted, COMMAND)
    assert len(owner.jobs.newest(10)) == 1


def test_a_bundle_is_not_made_twice(owner: Owner) -> None:
    (owner.model_dir / "mine-1").mkdir()
    with pytest.raises(InvalidRequestError, match="already") as refused:
        owner.submit(version="mine-1")
    assert refused.value.extra["field"] == "version"
    job = owner.submit(version="mine-2")
    with pytest.raises(InvalidRequestError, match="Another job"):
        owner.submit(version="mine-2")
    owner.queue.claim()
    with pytest.raises(InvalidRequestError, match="Another job"):
        owner.submit(version="mine-2")
    owner.queue.finish(job.job_id, ENDED[1])
    assert owner.submit(version="mine-2").options.version == "mine-2"


def test_impossible_options_are_refused(owner: Owner) -> None:
    with pytest.raises(InvalidRequestError):
        owner.submit(subject="../anna")
    assert owner.jobs.newest(10) == []
    assert owner.woken == 0


def test_the_queue_has_an_end(owner: Owner) -> None:
    jobs = [owner.submit() for _ in range(MAX_QUEUED)]
    with pytest.raises(OverloadedError):
        owner.submit()
    owner.jobs.cancel(jobs[0].job_id, COMMAND)
    assert owner.submit().queue_position == MAX_QUEUED


def test_a_queued_job_is_cancelled_at_once(owner: Owner) -> None:
    first, second = owner.submit(), owner.submit()
    job = owner.jobs.cancel(first.job_id, COMMAND)

    assert job.state is JobState.CANCELLED
    assert job.ended_at
    assert owner.jobs.cancel(first.job_id, COMMAND) == job
    claimed = owner.queue.claim()
    assert claimed
    assert claimed.job_id == second.job_id
    person = owner.session.audit.pseudonym("default")
    assert owner.audited()[2:] == [("cancel_training", "cancelled", person)]


def test_a_running_job_is_asked_to_stop_once(owner: Owner) -> None:
    job_id = owner.submit().job_id
    owner.queue.claim()
    assert not owner.queue.is_cancelled(job_id)
    job = owner.jobs.cancel(job_id, COMMAND)
    again = owner.jobs.cancel(job_id, COMMAND)

    assert (job.state, job.cancel_requested) == (JobState.RUNNING, True)
    assert again == job
    assert owner.queue.is_cancelled(job_id)
    assert [action for action, *_ in owner.audited()] == ["train", "cancel_training"]
    owner.queue.finish(job_id, JobEnding(JobState.CANCELLED))
    assert owner.jobs.cancel(job_id, COMMAND).state is JobState.CANCELLED


def test_the_log_says_each_problem_of_the_photos_once(owner: Owner) -> None:
    problems = tuple({"code": what, "message": f"Too {what}."} for what in ("few", "blurred"))
    failure = JobFailure("training_data_invalid", "Bad photos:", problems)
    job_id = owner.ended(JobEnding(JobState.FAILED, failure))
    said = [line.message for line in owner.jobs.log(job_id)]
    assert said[1:] == ["Job failed: Bad photos:", "few: Too few.", "blurred: Too blurred."]
    assert owner.jobs.get(job_id).error == failure


@pytest.mark.parametrize("ending", ENDED[:3], ids=lambda e: e.state.value)
def test_what_has_ended_cannot_be_cancelled(owner: Owner, ending: JobEnding) -> None:
    job_id = owner.ended(ending)
    with pytest.raises(JobConflictError) as refused:
        owner.jobs.cancel(job_id, COMMAND)
    assert refused.value.extra["state"] == ending.state


@pytest.mark.parametrize("ending", ENDED[1:3], ids=lambda e: e.state.value)
def test_what_failed_or_was_interrupted_goes_on(owner: Owner, ending: JobEnding) -> None:
    job_id = owner.ended(ending)
    before = owner.jobs.get(job_id)
    job = owner.jobs.resume(job_id, COMMAND)

    assert (job.state, job.queue_position, job.error) == (JobState.QUEUED, 1, None)
    assert job.options == before.options
    assert owner.woken == 2
    claimed = owner.queue.claim()
    assert claimed
    assert (claimed.job_id, claimed.attempts) == (job_id, 2)
    assert owner.audited()[-1][:2] == ("resume_training", "queued")


@pytest.mark.parametrize("ending", [ENDED[0], ENDED[3]], ids=lambda e: e.state.value)
def test_what_succeeded_or_was_cancelled_does_not_go_on(owner: Owner, ending: JobEnding) -> None:
    job_id = owner.ended(ending)
    with pytest.raises(JobConflictError):
        owner.jobs.resume(job_id, COMMAND)


def test_what_waits_or_runs_is_not_resumed(owner: Owner) -> None:
    job_id = owner.submit().job_id
    for _ in range(2):
        with pytest.raises(JobConflictError):
            owner.jobs.resume(job_id, COMMAND)
        owner.queue.claim()


def test_news_of_a_job_are_seen(owner: Owner) -> None:
    job_id = owner.submit().job_id
    owner.queue.claim()
    progress = JobProgress(1, 4, "pairs")
    owner.queue.note(job_id, JobNote(Stage.TRAIN, progress, [("then", "a line")]))
    job, lines = owner.jobs.watch(job_id, after=1)

    assert (job.stage, job.progress) == (Stage.TRAIN, progress)
    assert [line.message for line in lines] == ["a line"]
    assert [line.message for line in owner.jobs.log(job_id)] == ["Job begun.", "a line"]
    assert owner.jobs.counts()[JobState.RUNNING] == 1


def test_the_jobs_of_a_dead_process_are_found(owner: Owner) -> None:
    died, cancelled, waiting = (owner.submit().job_id for _ in range(3))
    owner.queue.claim()
    owner.queue.claim()
    owner.jobs.cancel(cancelled, COMMAND)

    assert owner.queue.bury() == [died, cancelled]
    assert owner.queue.bury() == []
    states = [owner.jobs.get(job_id).state for job_id in (died, cancelled, waiting)]
    assert states == [JobState.INTERRUPTED, JobState.CANCELLED, JobState.QUEUED]
    job = owner.jobs.get(died)
    assert job.error
    assert job.error.code == "interrupted"
    assert owner.jobs.log(died)[-1].message == f"Job interrupted: {job.error.message}"


def test_a_report_is_there_once_it_is_written(owner: Owner) -> None:
    job_id = owner.submit().job_id
    with pytest.raises(ReportNotFoundError):
        owner.jobs.report(job_id, "html")
    folder = job_folder(owner.training_dir, job_id)
    folder.mkdir(parents=True)
    (folder / "report.html").write_bytes(b"<html>")
    assert owner.jobs.report(job_id, "html") == b"<html>"
    with pytest.raises(ReportNotFoundError):
        owner.jobs.report(job_id, "json")


def test_what_jobs_do_is_no_change_of_the_gallery(owner: Owner) -> None:
    before = owner.session.database.revision()
    owner.ended(ENDED[1])
    assert owner.session.database.revision() == before


def test_refusals_are_known_to_the_api(owner: Owner) -> None:
    from app.api.errors import PROBLEMS

    for error in (JobConflictError, JobNotFoundError, ReportNotFoundError, OverloadedError):
        assert issubclass(error, FacetwinError)
        assert error.code in PROBLEMS
