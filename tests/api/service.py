"""A running application in the test's own process, called over ASGI from any thread."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, Self

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from app.api.state import State
from app.domain.ports import Bundles
from app.installed_bundles import bundle_shelf
from app.main import create_app
from app.runtime import Runtime, SelfTest, training_traces
from app.services.audit import AuditLog
from app.services.enrollment import Enrollment
from app.services.gallery import Gallery
from app.services.key_ring import KeyRing
from app.services.verification import Verification
from app.settings import Settings
from app.storage.database import Database
from app.storage.service_key import service_key
from tests.dummy_pipeline import DummyPipeline


def open_dummy_runtime(settings: Settings, pipeline: DummyPipeline | None = None) -> Runtime:
    """What `open_runtime` does, with a stand-in for the bundle."""
    pipeline = pipeline or DummyPipeline()
    settings.images_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database_url)
    database.migrate()
    audit = AuditLog(database, service_key(settings.application_data_dir, None))
    gallery = Gallery(
        database,
        settings.images_dir,
        pipeline,
        audit,
        settle_seconds=0,
        traces=training_traces(settings, database),
    )
    gallery.sync()
    resources = ExitStack()
    resources.callback(database.close)
    resources.callback(audit.close)
    key_ring = KeyRing(settings.configured_keys, database)
    key_ring.load()
    resources.callback(key_ring.close)
    return Runtime(
        settings=settings,
        pipeline=pipeline,
        database=database,
        audit=audit,
        key_ring=key_ring,
        gallery=gallery,
        enrollment=Enrollment(gallery, pipeline, audit, settings.max_fmr),
        verification=Verification(gallery, pipeline, audit),
        self_test=SelfTest(*pipeline.self_test()),
        _resources=resources,
    )


class StartedState(State):
    """What the lifespan yields, and the runtime that served at the start."""

    runtime: Runtime


class Service:
    """The application between start and stop."""

    def __init__(
        self,
        settings: Settings,
        open_: Callable[[Settings], Runtime] = open_dummy_runtime,
        bundles: Callable[[Settings], Bundles] = bundle_shelf,
    ) -> None:
        self.app: FastAPI = create_app(settings, open=open_, bundles=bundles, worker=None)
        self.client_address = "127.0.0.1"
        self.state: StartedState
        self._lifespan_state: State
        self._portal: BlockingPortal
        self._client: httpx.AsyncClient

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal())
            lifespan: Any = self.app.router.lifespan_context(self.app)
            yielded = stack.enter_context(self._portal.wrap_async_context_manager(lifespan))
            self._lifespan_state = yielded
            started: Any = {**yielded, "runtime": yielded["serving"].current}
            self.state = started
            transport = httpx.ASGITransport(app=self._with_state)
            client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
            self._client = stack.enter_context(self._portal.wrap_async_context_manager(client))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._portal.call(partial(self._client.request, method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", path, **options)

    def enroll(self, *photos: bytes, **fields: Any) -> httpx.Response:
        files = [("files", (f"{i}.jpg", photo)) for i, photo in enumerate(photos)]
        return self.request("POST", "/enroll", files=files, data=fields)

    def verify(self, photo: bytes, **fields: Any) -> httpx.Response:
        return self.request("POST", "/verify", files={"file": ("p.jpg", photo)}, data=fields)

    def compare(self, source: bytes, target: bytes, **fields: Any) -> httpx.Response:
        files = {"source": ("s.jpg", source), "target": ("t.jpg", target)}
        return self.request("POST", "/compare", files=files, data=fields)

    def detect(self, photo: bytes) -> httpx.Response:
        return self.request("POST", "/detect", files={"file": ("p.jpg", photo)})

    def metric(self, sample: str) -> float:
        """Value of one sample, for example `facetwin_references`; 0 if it is not there."""
        for line in self.get("/metrics").text.splitlines():
            name, _, value = line.rpartition(" ")
            if name == sample:
                return float(value)
        return 0.0

    async def _with_state(self, scope: Scope, receive: Receive, send: Send) -> None:
        # As a server does: each request gets its own copy of what the lifespan yielded.
        scope["state"] = dict(self._lifespan_state)
        scope["client"] = (self.client_address, 50_000)
        await self.app(scope, receive, send)
