"""Outermost middleware: request id, one log line, metrics, and the net under every error."""

import re
from time import perf_counter
from typing import Final
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import facetwin_problem, internal_problem
from app.api.state import metrics_of
from app.domain.errors import FacetwinError
from app.logs import get_logger

REQUEST_ID_HEADER: Final = "X-Request-ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UNMATCHED: Final = "other"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_log = get_logger("facetwin.requests")


class RequestContextMiddleware:
    """Gives every request an id, and leaves a log line and metrics behind.

    Log and metrics name the route's template, not the path: a path can hold a subject's name.
    Errors of the middleware further in end here too, so that no traceback leaves the process.
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
                await self._guarded(scope, receive, answer)
            finally:
                _leave_trace(scope, answer.status, perf_counter() - started)

    async def _guarded(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        request = Request(scope)
        try:
            await self._app(scope, receive, answer)
        except FacetwinError as error:
            response = facetwin_problem(request, error)
        except ClientDisconnect:
            return
        except Exception:  # noqa: BLE001 - the last net; the error is logged in full
            _log.exception("unexpected_error", route=_route(scope))
            response = internal_problem(request)
        else:
            return
        if not answer.started:
            await response(scope, receive, answer)


class _Answer:
    """The way out: adds the request id's header and remembers the status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 499  # the client left before an answer began
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            MutableHeaders(scope=message)[REQUEST_ID_HEADER] = self._request_id
        await self._send(message)


def _request_id(headers: Headers) -> str:
    given = headers.get(REQUEST_ID_HEADER, "")
    return given if _REQUEST_ID.fullmatch(given) else uuid4().hex


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", _UNMATCHED)


def _leave_trace(scope: Scope, status: int, seconds: float) -> None:
    route = _route(scope)
    # A client may invent methods; each would be a new time series.
    method = scope["method"] if scope["method"] in _METHODS else "other"
    metrics = metrics_of(Request(scope))
    metrics.requests.labels(route, method, str(status)).inc()
    metrics.request_seconds.labels(route, method).observe(seconds)
    _log.info("request", route=route, method=method, status=status, ms=round(seconds * 1000, 1))
