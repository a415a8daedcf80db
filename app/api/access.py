"""Who may call: API keys, checked before anything of the body is read."""

import hashlib
import hmac
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.errors import ForbiddenError, UnauthorizedError
from app.settings import Settings

API_KEY_HEADER: Final = "X-API-Key"
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})


class AccessMiddleware:
    """Refuses callers without a configured key; without keys everyone on this machine is let in.

    Keys are kept and compared as sha256 digests, in constant time.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._digests = [_digest(key.get_secret_value()) for key in settings.api_keys]
        self._anonymous = settings.allow_anonymous
        self._own_name = settings.host
        self._trusts_everyone = settings.is_loopback and not self._digests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection.

        Raises:
            UnauthorizedError: If a key is needed and missing.
            ForbiddenError: If no keys are configured and the call comes from where it should not.
        """
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            known = self._is_known(headers)
            if self._digests:
                self._check_key(scope, known=known)
            else:
                self._check_origin(scope, headers)
            scope["state"]["is_admin"] = known or self._trusts_everyone
        await self._app(scope, receive, send)

    def _check_key(self, scope: Scope, *, known: bool) -> None:
        if not known and scope["path"] not in OPEN_PATHS:
            raise UnauthorizedError(
                "Send one of the service's API keys as 'Authorization: Bearer KEY' or as "
                f"'{API_KEY_HEADER}: KEY'."
            )

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        """Without keys: hold what settings can't see, how the socket was bound and who asks."""
        if not self._anonymous and _is_exposed(scope):
            raise ForbiddenError(
                "This service was bound to an address other than loopback without API keys. Set "
                "FACETWIN_HOST with FACETWIN_API_KEYS or FACETWIN_ALLOW_ANONYMOUS=1."
            )
        if not self._anonymous and not self._names_this_machine(headers.get("Host", "")):
            # Without this, a site could point its name at 127.0.0.1 and read the gallery through
            # the browser of someone on this machine (DNS rebinding).
            raise ForbiddenError(
                "Without API keys this service answers only under the name of this machine: call "
                "it as localhost or 127.0.0.1, or set FACETWIN_API_KEYS."
            )
        # A page of another site can make the browser of someone on this machine send a form here.
        origin = headers.get("Origin")
        if origin and scope["method"] != "GET" and urlsplit(origin).netloc != headers.get("Host"):
            raise ForbiddenError(
                "Pages of other sites may not call a service without API keys. Set "
                "FACETWIN_API_KEYS and send a key."
            )

    def _names_this_machine(self, host: str) -> bool:
        name = urlsplit(f"//{host}").hostname or ""
        return name in {"localhost", self._own_name} or _is_loopback(name)

    def _is_known(self, headers: Headers) -> bool:
        given = _digest(_presented_key(headers))
        # Every key is compared, so that the time does not tell which one was given.
        return sum(hmac.compare_digest(given, digest) for digest in self._digests) > 0


def _is_exposed(scope: Scope) -> bool:
    """Whether the connection came in at an address that is not loopback."""
    host, port = scope.get("server") or ("", None)
    return port is not None and bool(host) and not _is_loopback(host)


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _presented_key(headers: Headers) -> str:
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return headers.get(API_KEY_HEADER, "").strip()


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
