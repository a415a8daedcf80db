"""`facetwin jobs`: training jobs, also those of a running service."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel
from rich.markup import escape

from app.api.training_schemas import (
    JobsOut,
    LogLineOut,
    accepted_answer,
    job_answer,
    line_answer,
)
from app.cli.job_access import opened_jobs
from app.cli.job_progress import print_ending, progress_words
from app.cli.options import AsJson, write_file
from app.cli.output import print_json, print_line, print_note, print_table
from app.cli.train import Detach, see_through
from app.domain.audit import COMMAND
from app.domain.training_jobs import JobRecord

jobs = typer.Typer(help="Training jobs.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(help="The job_id, as `facetwin jobs list` shows it.")]


class LogOut(BaseModel):
    """A job's log."""

    lines: list[LogLineOut]


class ReportOut(BaseModel):
    """Where a job's report is."""

    path: str


@jobs.command("list")
def list_jobs(
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """The jobs that were submitted last, the newest first."""
    with opened_jobs() as access:
        found = access.jobs.newest(count)
    if as_json:
        print_json(JobsOut(jobs=[job_answer(job) for job in found]))
        return
    # Not a table, which would cut the ids on a narrow terminal.
    for job in found:
        created = job.created_at[:16].replace("T", " ")
        options = f"{job.options.preset.value} of {job.options.subject}"
        model = (job.outcome and job.outcome.version) or job.options.version or ""
        print_line(escape(f"{job.job_id}  {created}  {_state(job)}  {options}  {model}".rstrip()))


@jobs.command("show")
def show(job_id: JobId, as_json: AsJson = False) -> None:
    """How far a job is, or what became of it."""
    with opened_jobs() as access:
        job = access.jobs.get(job_id)
        if as_json:
            print_json(job_answer(job))
            return
        print_ending(job)
    if job.state.ended:
        return
    rows = [("state", _state(job)), ("attempts", str(job.attempts))]
    if job.stage is not None:
        rows.append(("stage", job.stage.value))
    if job.progress is not None:
        progress = job.progress
        rows.append((progress.what or "progress", f"{progress.done} of {progress.total}"))
        rows.append(("", progress_words(progress)))
    print_table(("", ""), rows)


@jobs.command("cancel")
def cancel(job_id: JobId, as_json: AsJson = False) -> None:
    """Take a job out of the queue, or stop it within seconds. It can't be resumed."""
    with opened_jobs() as access:
        job = access.jobs.cancel(job_id, COMMAND)
    if as_json:
        print_json(accepted_answer(job))
    else:
        print_line(f"{job.job_id}: {'cancelled' if job.state.ended else 'it stops in seconds'}")


@jobs.command("resume")
def resume(job_id: JobId, detach: Detach = False, as_json: AsJson = False) -> None:
    """Go on with a job that failed or was interrupted, from its last checkpoint."""
    with opened_jobs() as access:
        # Before the job is queued: a worker that runs already may go on with it at once.
        told = access.jobs.log(job_id)
        job = access.jobs.resume(job_id, COMMAND)
        after = told[-1].number if told else 0
        see_through(access, job, detach=detach, as_json=as_json, after=after)


@jobs.command("log")
def log(job_id: JobId, as_json: AsJson = False) -> None:
    """What a job said."""
    with opened_jobs() as access:
        lines = access.jobs.log(job_id)
    if as_json:
        print_json(LogOut(lines=[line_answer(line) for line in lines]))
        return
    for line in lines:
        print_line(escape(f"{line.at[:19].replace('T', ' ')}  {line.message}"))


@jobs.command("report")
def report(
    job_id: JobId,
    to: Annotated[Path | None, typer.Option("--to", help="Copy the page into this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Where the report of a job is: a page with curves, figures and the hardest faces."""
    with opened_jobs() as access:
        path = access.jobs.report_path(job_id, "html")
        if to is not None:
            write_file(to, access.jobs.report(job_id, "html"))
            path = to
    if as_json:
        print_json(ReportOut(path=str(path)))
    elif to is not None:
        print_note(f"Wrote {to}")
    else:
        typer.echo(path)


def _state(job: JobRecord) -> str:
    if job.queue_position is not None:
        return f"{job.state.value}, place {job.queue_position}"
    return f"{job.state.value}, stopping" if job.cancel_requested else job.state.value
