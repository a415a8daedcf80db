"""Limits in time: pauses of a client that sends a body, and a request as a whole."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import DeadlineExceededError, RequestTimeoutError
from app.api.job_events import EVENT_STREAM
from app.domain.errors import FacetwinError
from app.logs import get_logger
from app.settings import Settings

ENDLESS: Final = "endless"
"""In the state of a request whose answer is a stream of events: that has begun in time, and has no
end to wait for."""

_log = get_logger("facetwin.requests")


class TimeLimitMiddleware:
    """Answers in time, even if the work can't be stopped.

    Work on a thread ends in its own time and keeps its place in the pool until then; what it
    would have answered is dropped. If the answer had begun, it is left incomplete, on which the
    server closes the connection.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._abandoned: set[asyncio.Future[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection.

        Raises:
            RequestTimeoutError: If the body pauses for too long, or is not there in time.
            DeadlineExceededError: If the answer is not there in time.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, self._settings.read_timeout, complete=not _has_body(scope))
        answer = _Answer(scope, send)
        work = asyncio.ensure_future(self._app(scope, body, answer))
        try:
            await asyncio.wait({work}, timeout=self._settings.request_timeout)
            if is_endless(scope):
                await asyncio.wait({work})
        finally:
            if not work.done():
                answer.closed = True
                self._abandon(work)
        if work.done():
            work.result()
        elif not answer.started:
            raise self._late(body)

    def _late(self, body: "_Body") -> FacetwinError:
        seconds = self._settings.request_timeout
        if not body.complete:
            return RequestTimeoutError(
                f"The request was not complete after {seconds:g} s (FACETWIN_REQUEST_TIMEOUT)."
            )
        return DeadlineExceededError(
            f"The answer was not ready after {seconds:g} s (FACETWIN_REQUEST_TIMEOUT). Try again "
            "in a moment.",
            retry_after=1,
        )

    def _abandon(self, work: "asyncio.Future[None]") -> None:
        work.cancel()
        self._abandoned.add(work)
        work.add_done_callback(self._forget)

    def _forget(self, work: "asyncio.Future[None]") -> None:
        self._abandoned.discard(work)
        if not work.cancelled() and (error := work.exception()) is not None:
            _log.warning("late_failure", error=type(error).__name__)


class _Body:
    """The way in: a client may not pause for longer than `read_timeout` while it sends a body."""

    def __init__(self, receive: Receive, read_timeout: float, *, complete: bool) -> None:
        self._receive = receive
        self._read_timeout = read_timeout
        self.complete = complete

    async def __call__(self) -> Message:
        if self.complete:
            return await self._receive()
        try:
            async with asyncio.timeout(self._read_timeout):
                message = await self._receive()
        except TimeoutError:
            raise RequestTimeoutError(
                f"Nothing of the request came for {self._read_timeout:g} s (FACETWIN_READ_TIMEOUT)."
            ) from None
        self.complete = not message.get("more_body", False)
        return message


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0"


def is_endless(scope: Mapping[str, object]) -> bool:
    """Whether the answer to a request is a stream of events that has begun."""
    state = scope.get("state")
    return isinstance(state, dict) and bool(state.get(ENDLESS))


class _Answer:
    """The way out, until it is closed."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self.started = False
        self.closed = False

    async def __call__(self, message: Message) -> None:
        if not self.closed:
            self.started = True
            if message["type"] == "http.response.start" and _is_event_stream(message):
                self._scope.setdefault("state", {})[ENDLESS] = True
            await self._send(message)


def _is_event_stream(message: Message) -> bool:
    kind = Headers(raw=list(message.get("headers", ()))).get("Content-Type", "")
    return message["status"] == HTTPStatus.OK and kind.split(";")[0] == EVENT_STREAM
