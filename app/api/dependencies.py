"""What routes ask for, as annotated aliases."""

from typing import Annotated

from fastapi import Depends, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.requests import Request

from app.api.access import API_KEY_HEADER
from app.api.errors import NotReadyError
from app.api.job_events import JobListeners
from app.api.readiness import ReadyCount
from app.api.state import (
    caller_of,
    jobs_of,
    listeners_of,
    metrics_of,
    pool_of,
    ready_count_of,
    request_id_of,
    runtime_of,
    serving_of,
    settings_of,
)
from app.domain.access import Caller
from app.domain.audit import Actor
from app.domain.errors import InvalidRequestError
from app.inference.pool import InferencePool
from app.metrics import Metrics
from app.runtime import Runtime
from app.services.training_jobs import TrainingJobs
from app.serving import Serving
from app.settings import Settings


async def _runtime(request: Request) -> Runtime:
    return runtime_of(request)


async def _serving(request: Request) -> Serving:
    return serving_of(request)


async def _jobs(request: Request) -> TrainingJobs:
    return jobs_of(request)


async def _listeners(request: Request) -> JobListeners:
    return listeners_of(request)


async def _pool(request: Request) -> InferencePool:
    return pool_of(request)


async def _ready_count(request: Request) -> ReadyCount:
    return ready_count_of(request)


async def _settings(request: Request) -> Settings:
    return settings_of(request)


async def _metrics(request: Request) -> Metrics:
    return metrics_of(request)


async def _request_id(request: Request) -> str:
    return request_id_of(request)


async def _caller(request: Request) -> Caller:
    return caller_of(request)


async def _actor(request: Request) -> Actor:
    return Actor(caller_of(request).name, request_id_of(request))


async def require_ready(request: Request) -> None:
    """Refuse to compare or store embeddings of a bundle that failed its self-test.

    Raises:
        NotReadyError: With the reason.
    """
    self_test = runtime_of(request).self_test
    if not self_test.ok:
        raise NotReadyError(f"The model failed its self-test: {self_test.detail}.")


async def refuse_query(request: Request) -> None:
    """Refuse options in the URL, which would be ignored: they are form fields.

    Raises:
        InvalidRequestError: If there is a query.
    """
    for name in request.query_params:
        raise InvalidRequestError(
            f"Send {name} as a form field, not in the URL: with curl, -F {name}=...", field=name
        )


RuntimeDep = Annotated[Runtime, Depends(_runtime)]
ServingDep = Annotated[Serving, Depends(_serving)]
ReadyCountDep = Annotated[ReadyCount, Depends(_ready_count)]
JobsDep = Annotated[TrainingJobs, Depends(_jobs)]
ListenersDep = Annotated[JobListeners, Depends(_listeners)]
PoolDep = Annotated[InferencePool, Depends(_pool)]
SettingsDep = Annotated[Settings, Depends(_settings)]
MetricsDep = Annotated[Metrics, Depends(_metrics)]
RequestIdDep = Annotated[str, Depends(_request_id)]
CallerDep = Annotated[Caller, Depends(_caller)]
ActorDep = Annotated[Actor, Depends(_actor)]

DOCUMENTED_KEYS = [
    Security(HTTPBearer(auto_error=False, description="An API key, if any are configured.")),
    Security(APIKeyHeader(name=API_KEY_HEADER, auto_error=False, description="The same.")),
]
"""Shows both ways to send a key in OpenAPI; `AccessMiddleware` is what checks it."""
