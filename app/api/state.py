"""What an application carries from start to stop, and how a request reaches it."""

from typing import Final, TypedDict, cast

from starlette.requests import HTTPConnection

from app.api.job_events import JobListeners
from app.api.readiness import ReadyCount
from app.domain.access import Caller
from app.inference.pool import InferencePool
from app.metrics import Metrics
from app.runtime import Runtime
from app.services.key_ring import KeyRing
from app.services.training_jobs import TrainingJobs
from app.serving import Serving
from app.settings import Settings

_RUNTIME: Final = "runtime"


class State(TypedDict):
    """What the lifespan yields; the server hands a copy to every request."""

    settings: Settings
    metrics: Metrics
    serving: Serving
    key_ring: KeyRing
    pool: InferencePool
    jobs: TrainingJobs
    listeners: JobListeners


def settings_of(connection: HTTPConnection) -> Settings:
    """The settings of this application."""
    return cast("Settings", connection.state.settings)


def metrics_of(connection: HTTPConnection) -> Metrics:
    """The instruments of this application."""
    return cast("Metrics", connection.state.metrics)


def serving_of(connection: HTTPConnection) -> Serving:
    """What holds the current runtime."""
    return cast("Serving", connection.state.serving)


def runtime_of(connection: HTTPConnection) -> Runtime:
    """The bundle, the gallery and the services of this request.

    The first call captures what serves at that moment. Another bundle may take over meanwhile: the
    request goes on with its own, so that its answer is of one fingerprint.
    """
    state = connection.state
    if not hasattr(state, _RUNTIME):
        setattr(state, _RUNTIME, serving_of(connection).current)
    return cast("Runtime", getattr(state, _RUNTIME))


def jobs_of(connection: HTTPConnection) -> TrainingJobs:
    """The training jobs."""
    return cast("TrainingJobs", connection.state.jobs)


def listeners_of(connection: HTTPConnection) -> JobListeners:
    """Who listens to training jobs."""
    return cast("JobListeners", connection.state.listeners)


def pool_of(connection: HTTPConnection) -> InferencePool:
    """The threads for inference."""
    return cast("InferencePool", connection.state.pool)


def ready_count_of(connection: HTTPConnection) -> ReadyCount:
    """The count of references that this application last took."""
    state = connection.app.state
    if not hasattr(state, "ready_count"):
        state.ready_count = ReadyCount()
    return cast("ReadyCount", state.ready_count)


def request_id_of(connection: HTTPConnection) -> str:
    """The identifier of this request, in its answer and in the log."""
    return cast("str", connection.state.request_id)


def caller_of(connection: HTTPConnection) -> Caller:
    """Who sent this request."""
    return cast("Caller", connection.state.caller)
