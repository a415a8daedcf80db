"""The end of a service: running requests finish, new ones are sent elsewhere."""

import asyncio
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import ShuttingDownError

_LIVENESS: Final = "/healthz"
_RETRY_AFTER_SECONDS: Final = 5
_SWALLOW_SECONDS: Final = 1.0


class Lifecycle:
    """Whether the service is being stopped, and how many requests run."""

    def __init__(self) -> None:
        self.draining = False
        self.running = 0

    def drain(self) -> None:
        """Take no new requests from now on."""
        self.draining = True


class DrainMiddleware:
    """Refuses new requests while the service is being stopped, and counts those that run."""

    def __init__(self, app: ASGIApp, lifecycle: Lifecycle) -> None:
        self._app = app
        self._lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection.

        Raises:
            ShuttingDownError: If the service is being stopped.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._lifecycle.draining and scope["path"] != _LIVENESS:
            await _swallow(scope, receive)
            raise ShuttingDownError(
                "The service is being stopped. Try again in a moment, or at another instance.",
                retry_after=_RETRY_AFTER_SECONDS,
            )
        self._lifecycle.running += 1
        try:
            await self._app(scope, receive, self._closing(send))
        finally:
            self._lifecycle.running -= 1

    def _closing(self, send: Send) -> Send:
        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start" and self._lifecycle.draining:
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        return closing


async def _swallow(scope: Scope, receive: Receive) -> None:
    """Take in a body on its way: closing on a client that sends would lose it the answer."""
    if "Expect" in Headers(scope=scope):
        return
    try:
        async with asyncio.timeout(_SWALLOW_SECONDS):
            while (await receive()).get("more_body"):
                pass
    except TimeoutError:
        return
