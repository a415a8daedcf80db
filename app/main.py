"""Composition root of the service. `facetwin serve` starts it under the limits of `app.server`."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from anyio import to_thread
from fastapi import Depends, FastAPI

from app import __version__
from app.api.dependencies import DOCUMENTED_KEYS, refuse_query, require_ready
from app.api.errors import install_error_handlers
from app.api.job_events import JobListeners
from app.api.lifecycle import Lifecycle
from app.api.middleware import install_middleware
from app.api.openapi import complete_openapi
from app.api.routes import (
    enrollment,
    models,
    operations,
    subjects,
    training,
    training_data,
    verification,
)
from app.api.state import State
from app.domain.errors import FacetwinError
from app.domain.ports import Bundles
from app.inference.pool import InferencePool
from app.installed_bundles import bundle_shelf
from app.logs import configure_logging, get_logger
from app.metrics import Metrics
from app.runtime import Runtime, open_serving_runtime
from app.services.folder_watch import FolderWatch
from app.services.housekeeping import Housekeeping
from app.services.training_jobs import TrainingJobs
from app.serving import POLL_SECONDS, Serving
from app.settings import Settings
from app.worker.supervisor import WORKER, Supervisor

_log = get_logger("facetwin.service")


def create_app(
    settings: Settings | None = None,
    *,
    open: Callable[[Settings], Runtime] = open_serving_runtime,  # noqa: A002
    bundles: Callable[[Settings], Bundles] = bundle_shelf,
    worker: Sequence[str] | None = WORKER,
) -> FastAPI:
    """Build the service.

    Args:
        settings: By default read from the environment.
        open: What loads the bundle and the gallery at start; its runtime is closed at stop.
        bundles: Where other bundles come from while it serves.
        worker: Command that runs training jobs; None leaves them in their queue.

    Raises:
        pydantic.ValidationError: If a setting is not valid; the message names it.
    """
    settings = settings or Settings()
    configure_logging(settings)
    app = FastAPI(
        title="Facetwin",
        version=__version__,
        summary="Is the person on this photo the person enrolled?",
        description=_DESCRIPTION,
        lifespan=_lifespan(settings, open, bundles, worker),
    )
    checks = [Depends(refuse_query), Depends(require_ready)]
    for routes in (verification, enrollment):
        app.include_router(routes.router, dependencies=[*DOCUMENTED_KEYS, *checks])
    app.include_router(subjects.router, dependencies=DOCUMENTED_KEYS)
    app.include_router(models.router, dependencies=DOCUMENTED_KEYS)
    app.include_router(training.router, dependencies=DOCUMENTED_KEYS)
    app.include_router(training_data.router, dependencies=DOCUMENTED_KEYS)
    app.include_router(operations.router)
    install_error_handlers(app)
    complete_openapi(app)
    app.state.lifecycle = install_middleware(app, settings)
    return app


_DESCRIPTION = """
Enroll a person from photos with `POST /enroll`, then ask `POST /verify` whether another photo
shows the same person. Every error is an `application/problem+json` document with a stable `code`.

A verdict tells whether two faces look alike, not whether a living person stands before the camera:
there is no liveness detection.
"""


def _lifespan(
    settings: Settings,
    open_runtime: Callable[[Settings], Runtime],
    bundles: Callable[[Settings], Bundles],
    worker: Sequence[str] | None,
) -> Callable[[FastAPI], AbstractAsyncContextManager[State]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        # In a thread, as new references may have to be embedded first.
        try:
            runtime = await to_thread.run_sync(open_runtime, settings)
        except FacetwinError as error:
            _log.error("start_failed", reason=error.message)
            raise
        metrics = Metrics()
        pool = InferencePool(settings.inference_threads, settings.queue_size)
        metrics.watch_pool(pool)
        lifecycle: Lifecycle = app.state.lifecycle
        background = _Background(runtime, settings, bundles(settings), metrics)
        supervisor = Supervisor(
            settings, runtime.database, command=worker, draining=lambda: lifecycle.draining
        )
        jobs = TrainingJobs(
            runtime.database,
            runtime.audit,
            settings.training_dir,
            settings.model_dir,
            queued=supervisor.wake,
        )
        state = State(
            settings=settings,
            metrics=metrics,
            serving=background.serving,
            key_ring=runtime.key_ring,
            pool=pool,
            jobs=jobs,
            listeners=JobListeners(jobs, lambda: lifecycle.draining),
        )
        # What serves from now on may be another one: nothing here may keep the first one alive.
        del runtime
        try:
            background.start()
            supervisor.start()
            yield state
        finally:
            await to_thread.run_sync(supervisor.close)
            await to_thread.run_sync(background.close, pool)

    return lifespan


class _Background:
    """What runs beside the requests, from the start of the service to its end."""

    def __init__(
        self, runtime: Runtime, settings: Settings, bundles: Bundles, metrics: Metrics
    ) -> None:
        self._metrics = metrics
        self._watch = FolderWatch(runtime.gallery, settings.sync_interval)
        self._keeping = Housekeeping(runtime.database, runtime.audit, settings.audit_retention_days)
        self.serving = Serving(runtime, bundles, self._on_swap, poll_seconds=POLL_SECONDS)
        metrics.name_model(runtime.pipeline)

    def start(self) -> None:
        """Begin; the service is ready."""
        runtime = self.serving.current
        _log.info(
            "ready",
            model=runtime.pipeline.version,
            self_test=runtime.self_test.ok,
            threads=runtime.settings.inference_threads,
            skipped_files=len(runtime.gallery.health().report.skipped),
        )
        self._watch.start()
        self._keeping.start()
        self.serving.start()

    def close(self, pool: InferencePool) -> None:
        """Stop everything; then what all runtimes share."""
        self.serving.close()
        self._watch.close()
        self._keeping.close()
        pool.close()
        self.serving.current.close()

    def _on_swap(self, runtime: Runtime) -> None:
        self._watch.follow(runtime.gallery)
        self._metrics.name_model(runtime.pipeline)
