"""A training job on the screen, from its place in the queue to its outcome."""

import time
from typing import Final

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from app.cli.job_access import JobAccess
from app.cli.output import error_console, print_line, print_note
from app.domain.audit import COMMAND
from app.domain.errors import JobConflictError
from app.domain.training import JobState, Stage
from app.domain.training_jobs import JobProgress, JobRecord

_LOOK_SECONDS: Final = 0.5
_COLOURS: Final = {
    JobState.QUEUED: "cyan",
    JobState.RUNNING: "cyan",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "yellow",
    JobState.INTERRUPTED: "yellow",
}
_STAGES: Final = {
    Stage.CHECK: "Checking the photos",
    Stage.TRAIN: "Training",
    Stage.EXPORT: "Exporting",
    Stage.EVALUATE: "Evaluating",
    Stage.GATE: "Comparing with the active model",
    Stage.PUBLISH: "Publishing",
    Stage.ACTIVATE: "Activating",
}
_WAITING: Final = "Waiting in the queue"


def follow(access: JobAccess, job_id: str, after: int = 0) -> JobRecord:
    """Show a job until it has ended; Ctrl-C cancels it.

    Args:
        access: To the jobs.
        job_id: Which one.
        after: Number of the last line of its log that is not to be shown.

    Raises:
        JobNotFoundError: If it is not there (any more).
        StorageError: If the database can't be used.
    """
    with _Screen(after) as screen:
        try:
            return _watch(access, job_id, screen)
        except KeyboardInterrupt:
            print_note("Cancelling the job. Next time, --detach lets it go on without you.")
        try:
            access.jobs.cancel(job_id, COMMAND)
        except JobConflictError:
            return access.jobs.get(job_id)
        return _watch(access, job_id, screen)


def print_ending(job: JobRecord) -> None:
    """What became of a job, and what can be done next."""
    colour = _COLOURS[job.state]
    print_line(f"[bold {colour}]{job.state.value}[/bold {colour}] {job.job_id}")
    if job.outcome is not None:
        outcome = job.outcome
        if outcome.version is not None:
            words = [outcome.judgement.value] if outcome.judgement else []
            words.append("it serves now" if outcome.activated else "not activated")
            print_line(f"model {escape(outcome.version)}: {', '.join(words)}")
        for reason in outcome.reasons:
            print_line(f"  {escape(reason)}")
    if job.error is not None:
        print_line(f"{escape(job.error.code)}: {escape(job.error.heading)}".rstrip())
        for problem in job.error.problems:
            print_line(f"  {escape(problem['code'])}: {escape(problem['message'])}")
    if job.state in {JobState.FAILED, JobState.INTERRUPTED}:
        print_note(f"facetwin jobs resume {job.job_id}   goes on from the last checkpoint")
    if job.state.ended:
        print_note(f"facetwin jobs log {job.job_id}   shows what it said")


def progress_words(progress: JobProgress) -> str:
    """Epoch, loss and time left, as far as they are known."""
    words = [] if progress.epoch is None else [f"epoch {progress.epoch}"]
    if progress.loss is not None:
        words.append(f"loss {progress.loss:.4f}")
    if progress.eta_seconds is not None:
        minutes, seconds = divmod(round(progress.eta_seconds), 60)
        words.append(f"{minutes}:{seconds:02} left")
    return ", ".join(words)


def _watch(access: JobAccess, job_id: str, screen: "_Screen") -> JobRecord:
    while True:
        # Also without a service there must be a worker, and someone who notices that it died.
        access.supervisor.look()
        job, lines = access.jobs.watch(job_id, screen.last_line)
        for line in lines:
            # What the log says of the end, with the same time, `print_ending` will say.
            if line.at != job.ended_at:
                screen.log(line.number, line.message)
        screen.show(job)
        if job.state.ended:
            return job
        time.sleep(_LOOK_SECONDS)


class _Screen:
    """A bar for each stage on a terminal; elsewhere a line for each."""

    def __init__(self, last_line: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}"),
            console=error_console(),
            disable=not error_console().is_terminal,
        )
        self._shown: str | None = None
        self._task: TaskID | None = None
        self.last_line = last_line

    def __enter__(self) -> "_Screen":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def log(self, number: int, message: str) -> None:
        """A line of the job's log, above the bars."""
        self.last_line = number
        print_note(f"  {message}")

    def show(self, job: JobRecord) -> None:
        """How far the job is."""
        title = self._title(job)
        if title is None:
            return
        if title != self._shown:
            self._begin(title)
        assert self._task is not None
        progress = job.progress
        if progress is not None:
            self._progress.update(
                self._task,
                description=f"{title}: {progress.what}" if progress.what else title,
                completed=progress.done,
                total=progress.total,
                words=progress_words(progress),
            )

    def _title(self, job: JobRecord) -> str | None:
        if job.queue_position is not None:
            return f"{_WAITING}, place {job.queue_position}"
        return None if job.stage is None else _STAGES[job.stage]

    def _begin(self, title: str) -> None:
        if self._task is not None:
            task = self._progress.tasks[self._task]
            self._progress.update(self._task, total=task.total or 1, completed=task.total or 1)
        self._shown = title
        self._task = self._progress.add_task(escape(title), total=None, words="")
        if self._progress.disable:
            print_note(title)
