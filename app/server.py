"""The HTTP server process, and how it ends."""

import asyncio
import os
from collections.abc import Callable, Sequence
from socket import socket
from threading import Timer
from types import FrameType
from typing import Final

import uvicorn

from app.api.lifecycle import Lifecycle
from app.http_protocol import ConnectionLimits, guarded_protocol
from app.logs import get_logger
from app.main import create_app
from app.runtime import Runtime
from app.settings import Settings
from app.worker.supervisor import WORKER

_TICK_SECONDS: Final = 0.02
_CUT_SECONDS: Final = 0.3
_CLEANUP_SECONDS: Final = 1.2
"""For what can't be cut: the last photo in work, and closing the database."""

_NOT_STARTED: Final = 3
_SIGNALLED: Final = 128

_log = get_logger("facetwin.server")


def serve(runtime: Runtime, *, worker: Sequence[str] | None = WORKER) -> None:
    """Serve an opened runtime until the process is told to stop, then close it.

    Args:
        runtime: Of the bundle that serves first.
        worker: Command that runs training jobs.

    Raises:
        SystemExit: If the address can't be bound; the log says why.
    """
    settings = runtime.settings
    # Handed over: once another bundle serves, nothing here may keep this one in memory.
    handed = [runtime]
    del runtime
    application = create_app(settings, open=lambda _settings: handed.pop(), worker=worker)
    config = _config(application, settings)
    server = DrainingServer(config, application.state.lifecycle, settings.shutdown_timeout)
    try:
        server.run()
    finally:
        server.call_off()
    if not server.started:
        _log.error(
            "not_listening",
            host=settings.host,
            port=settings.port,
            hint="Another program has this port, or the address is not this machine's. Set "
            "FACETWIN_HOST and FACETWIN_PORT.",
        )
        raise SystemExit(_NOT_STARTED)


def _config(application: object, settings: Settings) -> uvicorn.Config:
    limits = ConnectionLimits(
        settings.read_timeout,
        settings.request_timeout,
        settings.max_connections,
        settings.trusted_proxies,
    )
    return uvicorn.Config(
        application,  # type: ignore[arg-type]
        host=settings.host,
        port=settings.port,
        lifespan="on",
        http=guarded_protocol(limits),
        ws="none",
        # Logs go through app.logs alone.
        log_config=None,
        access_log=False,
        server_header=False,
        # The application believes forwarded headers of trusted proxies; the server of nobody.
        proxy_headers=False,
    )


class DrainingServer(uvicorn.Server):
    """Ends in order: running requests finish, new ones get 503, then everything is closed.

    A first signal starts that, a second one ends the process at once. Whatever clients do, the
    process is gone soon after `patience` seconds; the gallery survives being cut.
    """

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, patience: float) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._patience = patience
        self._last_resort: Timer | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """React to a signal. uvicorn would end the process by the same signal; this ends with 0."""
        if self.should_exit:
            os._exit(_SIGNALLED + sig)
        self.should_exit = True
        self._lifecycle.drain()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Drain, cut what is left, and close the application."""
        self._lifecycle.drain()
        self._last_resort = Timer(self._patience + _CUT_SECONDS + _CLEANUP_SECONDS, _leave)
        self._last_resort.daemon = True
        self._last_resort.start()
        deadline = asyncio.get_running_loop().time() + self._patience
        _log.info("draining", running=self._lifecycle.running, seconds=self._patience)
        await _until(lambda: not self._lifecycle.running, deadline)
        for listener in self.servers:
            listener.close()
        for given in sockets or []:
            given.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await _until(lambda: not self.server_state.connections, deadline)
        await self._cut()
        await self.lifespan.shutdown()

    def call_off(self) -> None:
        """Forget about ending the process by force; it ended by itself."""
        if self._last_resort is not None:
            self._last_resort.cancel()

    async def _cut(self) -> None:
        connections, tasks = list(self.server_state.connections), set(self.server_state.tasks)
        if not connections and not tasks:
            return
        _log.warning("cut", connections=len(connections), requests=self._lifecycle.running)
        for connection in connections:
            connection.transport.abort()
        for task in tasks:
            task.cancel()
        deadline = asyncio.get_running_loop().time() + _CUT_SECONDS
        await _until(lambda: not self.server_state.tasks, deadline)


async def _until(condition: Callable[[], bool], deadline: float) -> None:
    loop = asyncio.get_running_loop()
    while not condition() and loop.time() < deadline:  # noqa: ASYNC110 - uvicorn tells no event
        await asyncio.sleep(_TICK_SECONDS)


def _leave() -> None:
    _log.warning("left_with_work_running")
    os._exit(0)
