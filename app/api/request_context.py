"""Outermost middleware: request id, one log line, metrics."""

import re
from time import perf_counter
from typing import Final
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.state import metrics_of
from app.domain.access import Caller
from app.logs import get_logger

REQUEST_ID_HEADER: Final = "X-Request-ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UNMATCHED: Final = "other"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_log = get_logger("facetwin.requests")


class RequestContextMiddleware:
    """Gives every request an id, and leaves a log line and metrics behind.

    Log and metrics name the route's template, not the path: a path can hold a subject's name.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; only HTTP is looked at."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id)
        started = perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, answer)
            finally:
                _leave_trace(scope, answer.status, perf_counter() - started)


class _Answer:
    """The way out: adds the request id's header and remembers the status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 499  # the client left before an answer began

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)[REQUEST_ID_HEADER] = self._request_id
        await self._send(message)


def _request_id(headers: Headers) -> str:
    given = headers.get(REQUEST_ID_HEADER, "")
    return given if _REQUEST_ID.fullmatch(given) else uuid4().hex


def route_of(scope: Scope) -> str:
    """The template of the route that a request found, for logs and metrics."""
    return getattr(scope.get("route"), "path", _UNMATCHED)


def _leave_trace(scope: Scope, status: int, seconds: float) -> None:
    route = route_of(scope)
    # A client may invent methods; each would be a new time series.
    method = scope["method"] if scope["method"] in _METHODS else "other"
    metrics = metrics_of(Request(scope))
    metrics.requests.labels(route, method, str(status)).inc()
    metrics.request_seconds.labels(route, method).observe(seconds)
    _log.info(
        "request",
        route=route,
        method=method,
        status=status,
        caller=_caller_name(scope),
        ms=round(seconds * 1000, 1),
        **_problem_of(scope),
    )


def _caller_name(scope: Scope) -> str:
    """The id of a key, never a key; what was refused before anyone was known is nobody's."""
    caller = scope["state"].get("caller")
    return caller.name if isinstance(caller, Caller) else "nobody"


def _problem_of(scope: Scope) -> dict[str, str]:
    """Why a request was refused; it tells a guessing run from a stolen key."""
    problem = scope["state"].get("problem")
    return {"problem": problem} if problem else {}
