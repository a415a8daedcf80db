"""Headers on every answer that keep browsers from doing more with it than meant."""

from collections.abc import Mapping
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY_HEADER: Final = "Content-Security-Policy"

STANDARD_HEADERS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Answers are about people.
    "Cache-Control": "no-store",
    _POLICY_HEADER: "default-src 'none'; frame-ancestors 'none'",
}
"""Also of the answers that the server gives without the application."""

_VIEWERS: Final = frozenset({"/docs", "/redoc"})
_VIEWER_POLICY: Final = (
    "default-src 'none'; connect-src 'self'; worker-src blob:; "
    "script-src 'unsafe-inline' https://cdn.jsdelivr.net; "
    "style-src 'unsafe-inline' https://cdn.jsdelivr.net https://fonts.googleapis.com; "
    "font-src https://fonts.gstatic.com; "
    "img-src 'self' data: https://fastapi.tiangolo.com https://cdn.redoc.ly; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What FastAPI's two viewers of the API load."""

_HTTPS_ONLY: Final = "max-age=31536000"


class SecurityHeadersMiddleware:
    """Adds them where the answer does not say otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; only HTTP is looked at."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _headers_for(scope).items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, secured)


def _headers_for(scope: Scope) -> Mapping[str, str]:
    headers = dict(STANDARD_HEADERS)
    if scope["path"] in _VIEWERS:
        headers[_POLICY_HEADER] = _VIEWER_POLICY
    if scope["scheme"] == "https":
        headers["Strict-Transport-Security"] = _HTTPS_ONLY
    return headers
