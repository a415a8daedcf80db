"""`/healthz`, `/readyz`, `/version`, `/metrics`: what operators and orchestrators ask."""

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from app import __version__
from app.api.answers import model_answer
from app.api.dependencies import JobsDep, MetricsDep, ReadyCountDep, RuntimeDep, ServingDep
from app.api.errors import NotReadyError
from app.api.openapi import OPEN_ROUTE_CODES, problems
from app.api.schemas import HealthOut, ProblemOut, ReadyOut, SelfTestOut, VersionOut
from app.metrics import CONTENT_TYPE

router = APIRouter(tags=["operations"])


@router.get("/", include_in_schema=False)
async def root() -> RedirectResponse:
    """Send a browser to the manual."""
    return RedirectResponse("/docs")


_OPEN = {"common": (*OPEN_ROUTE_CODES, "forbidden")}
"""These need no key; without any keys they answer only under the name of this machine."""


@router.get("/healthz", summary="Is the process alive?", responses=problems(**_OPEN))
async def healthz() -> HealthOut:
    """Answers as long as the event loop turns; looks at nothing else."""
    return HealthOut()


@router.get(
    "/readyz",
    summary="Can the service verify?",
    responses=problems("not_ready", "storage_unavailable", **_OPEN),
)
async def readyz(runtime: RuntimeDep, serving: ServingDep, ready_count: ReadyCountDep) -> ReadyOut:
    """Result of the self-test that ran when the bundle was loaded, and a look at the gallery.

    The count of references is a second old at most. Where keys are required, it and the messages
    to the operator are left to /metrics and the log, as anyone may ask this.
    """
    if not runtime.self_test.ok:
        raise NotReadyError(
            f"The model failed its self-test: {runtime.self_test.detail}. Activate another bundle "
            "or install this one anew.",
            self_test={"ok": False, "detail": runtime.self_test.detail},
        )
    references = await ready_count.get(
        runtime.gallery.reference_count, runtime.pipeline.fingerprint
    )
    strangers = runtime.key_ring.required
    return ReadyOut(
        self_test=SelfTestOut.model_validate(runtime.self_test),
        model=model_answer(runtime.pipeline),
        references=None if strangers else references,
        degraded=[
            ProblemOut(code=problem.code, message=None if strangers else problem.message)
            for problem in (*serving.problems, *runtime.gallery.health().degraded)
        ],
    )


@router.get("/version", summary="What runs here?", responses=problems())
async def version(runtime: RuntimeDep) -> VersionOut:
    """Version of the service and of its bundle."""
    return VersionOut(version=__version__, model=model_answer(runtime.pipeline))


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {}}, "description": "Prometheus text format."},
        **problems("storage_unavailable"),
    },
)
def metrics(
    runtime: RuntimeDep, serving: ServingDep, jobs: JobsDep, metrics: MetricsDep
) -> Response:
    """Requests, latency by stage, decisions, rejections, queue, references, problems, jobs."""
    metrics.references.set(runtime.gallery.reference_count())
    problems = (*serving.problems, *runtime.gallery.health().degraded)
    metrics.show_degraded(problem.code for problem in problems)
    metrics.show_jobs(jobs.counts())
    return Response(metrics.render(), media_type=CONTENT_TYPE)
