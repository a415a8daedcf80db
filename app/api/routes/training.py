"""`/train`: training jobs, which run in a process of their own."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Body, Header, Query, Request, Response, status
from fastapi.responses import StreamingResponse

from app.api.dependencies import ActorDep, JobsDep, ListenersDep
from app.api.job_events import EVENT_STREAM
from app.api.openapi import problems
from app.api.training_schemas import (
    JobAcceptedOut,
    JobOut,
    JobsOut,
    TrainIn,
    accepted_answer,
    job_answer,
    job_url,
)
from app.domain.errors import InvalidRequestError

router = APIRouter(prefix="/train", tags=["training"])

_PAGE_POLICY: Final = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""A report is one page that loads nothing and runs nothing."""

_JOB_PROBLEMS: Final = ("invalid_request", "job_not_found", "storage_unavailable")
_QUEUE_PROBLEMS: Final = ("training_unavailable", "overloaded", "storage_unavailable")
_LOCATION: Final = {
    "Location": {"description": "Where the job's status is.", "schema": {"type": "string"}}
}
_EVENT: Final = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"enum": ["progress", "log", "end"]},
        "data": {
            "type": "string",
            "description": "JSON: the job as `GET /train/{job_id}` answers it; a line with number, "
            "at and message; job_id, state and status_url.",
        },
        "id": {"type": "string", "description": "Number of the line; only of `log`."},
        "retry": {"type": "integer"},
    },
}
"""One event of the stream."""


@router.post(
    "",
    summary="Train a model on the photos in data/",
    status_code=status.HTTP_202_ACCEPTED,
    responses={
        202: {"headers": _LOCATION, "description": "The job is queued."},
        **problems("invalid_request", *_QUEUE_PROBLEMS),
    },
)
def submit(
    request: Request,
    response: Response,
    jobs: JobsDep,
    actor: ActorDep,
    asked: Annotated[TrainIn | None, Body()] = None,
) -> JobAcceptedOut:
    """Queue a job. One runs at a time, in the background; the body may be empty.

    What the photos are worth is looked at by the job itself: it fails with
    `training_data_invalid` and a list, before any training, if the result would be meaningless.
    """
    for name in request.query_params:
        raise InvalidRequestError(f"Send {name} in the JSON body, not in the URL.", field=name)
    job = jobs.submit((asked or TrainIn()).options(), actor)
    response.headers["Location"] = job_url(job.job_id)
    return accepted_answer(job)


@router.get(
    "", summary="Training jobs", responses=problems("invalid_request", "storage_unavailable")
)
def list_jobs(
    jobs: JobsDep,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many.")] = 100,
) -> JobsOut:
    """The jobs that were submitted last, the newest first."""
    return JobsOut(jobs=[job_answer(job) for job in jobs.newest(limit)])


@router.get("/{job_id}", summary="A training job", responses=problems(*_JOB_PROBLEMS))
def get_job(job_id: str, jobs: JobsDep) -> JobOut:
    """State, place in the queue, progress and outcome of a job."""
    return job_answer(jobs.get(job_id))


@router.delete(
    "/{job_id}",
    summary="Cancel a training job",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problems("job_conflict", *_JOB_PROBLEMS),
)
def cancel_job(job_id: str, jobs: JobsDep, actor: ActorDep) -> JobAcceptedOut:
    """Take a job out of the queue, or stop it: within 5 seconds, whatever it is doing.

    It can't be resumed. A job that is cancelled already stays so; one that ended otherwise is a
    conflict.
    """
    return accepted_answer(jobs.cancel(job_id, actor))


@router.post(
    "/{job_id}/resume",
    summary="Go on with a training job",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problems("job_conflict", *_JOB_PROBLEMS, *_QUEUE_PROBLEMS),
)
def resume_job(job_id: str, jobs: JobsDep, actor: ActorDep) -> JobAcceptedOut:
    """Queue a job again that failed or was interrupted.

    It has the same options, and goes on from its last checkpoint.
    """
    return accepted_answer(jobs.resume(job_id, actor))


@router.get(
    "/{job_id}/events",
    summary="Listen to a training job",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {EVENT_STREAM: {"schema": _EVENT}},
            "description": "Server-Sent Events: `progress` with the job's status at every change, "
            "`log` with each line of its log, `end` when it has ended.",
        },
        **problems("overloaded", *_JOB_PROBLEMS),
    },
)
async def listen(
    job_id: str,
    listeners: ListenersDep,
    last_event_id: Annotated[
        str | None, Header(description="Number of the last line of the log that is known.")
    ] = None,
) -> StreamingResponse:
    """Progress and log of a job as they come, until it has ended or the service is stopped.

    A client that comes back is sent the lines after its `Last-Event-ID`. FACETWIN_REQUEST_TIMEOUT
    does not end it.
    """
    events = await listeners.listen(job_id, _number(last_event_id))
    return StreamingResponse(events, media_type=EVENT_STREAM, headers={"X-Accel-Buffering": "no"})


@router.get(
    "/{job_id}/report",
    summary="The report of a training job",
    response_class=Response,
    responses={
        200: {
            "content": {
                "text/html": {"schema": {"type": "string"}},
                "application/json": {"schema": {"type": "object"}},
            },
            "description": "A page that needs nothing else, or its figures as JSON.",
        },
        **problems("report_not_found", *_JOB_PROBLEMS),
    },
)
def get_report(
    job_id: str,
    jobs: JobsDep,
    format: Annotated[  # noqa: A002 - the name in the URL
        Literal["html", "json"] | None, Query(description="Default: what `Accept` asks for.")
    ] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Curves, histograms, error rates beside those of the active model, and the data report."""
    kind = format or ("json" if _prefers_json(accept) else "html")
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    if kind == "json":
        return Response(jobs.report(job_id, kind), media_type="application/json", headers=headers)
    headers["Content-Security-Policy"] = _PAGE_POLICY
    return Response(
        jobs.report(job_id, kind), media_type="text/html; charset=utf-8", headers=headers
    )


def _number(last_event_id: str | None) -> int:
    """What a client knows already; what is no number is of another stream."""
    text = last_event_id or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _prefers_json(accept: str) -> bool:
    return "application/json" in accept and "text/html" not in accept
