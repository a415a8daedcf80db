"""The net under every error that leaves a route or a middleware further in."""

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import facetwin_problem, internal_problem
from app.api.request_context import route_of
from app.domain.errors import FacetwinError
from app.logs import get_logger

_log = get_logger("facetwin.requests")


class ErrorNetMiddleware:
    """Answers with a problem document, so that no traceback leaves the process."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; only HTTP is looked at."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        request = Request(scope)
        try:
            await self._app(scope, receive, noted)
        except FacetwinError as error:
            response = facetwin_problem(request, error)
        except ClientDisconnect:
            return
        except Exception:  # noqa: BLE001 - the last net; the error is logged in full
            _log.exception("unexpected_error", route=route_of(scope))
            response = internal_problem(request)
        else:
            return
        if not started:
            await response(scope, receive, send)
