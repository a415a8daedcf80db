"""Who may call a service without API keys: this machine, or anyone by the operator's consent."""

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from app.api.errors import ForbiddenError
from app.domain.access import ANONYMOUS, LOCAL, Caller
from app.settings import Settings

_FORWARDED: Final = frozenset({"forwarded", "x-real-ip", "via"})
_FORWARDED_PREFIX: Final = "x-forwarded-"


class KeylessRules:
    """Holds what the settings can't see: how the socket was bound, and who asks through what."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def caller(self, scope: Scope, headers: Headers) -> Caller:
        """The caller of a request that needs no key.

        Raises:
            ForbiddenError: If it comes from where it should not.
        """
        stranger = self._stranger(scope, headers)
        if stranger and not self._settings.allow_anonymous:
            raise ForbiddenError(stranger)
        # A page of another site can make the browser of someone on this machine send a form here.
        if scope["method"] != "GET" and self._is_foreign_page(headers):
            raise ForbiddenError(
                "Pages of other sites may not call a service without API keys. Set "
                "FACETWIN_API_KEYS and send a key, or name the site in FACETWIN_CORS_ORIGINS."
            )
        return ANONYMOUS if stranger else LOCAL

    def _stranger(self, scope: Scope, headers: Headers) -> str:
        """Why the request is not surely of this machine; empty if it is."""
        if not self._settings.is_loopback or _is_elsewhere(scope.get("server")):
            return (
                "This service was bound to an address other than loopback without API keys. Set "
                "FACETWIN_HOST with FACETWIN_API_KEYS or FACETWIN_ALLOW_ANONYMOUS=1."
            )
        if _is_elsewhere(scope.get("client")) or _is_forwarded(headers):
            return (
                "A proxy passes on requests of others to this service, which has no API keys. Set "
                "FACETWIN_API_KEYS, or FACETWIN_ALLOW_ANONYMOUS=1 if anyone may call."
            )
        # Without this, a site could point its name at 127.0.0.1 and read the gallery through the
        # browser of someone on this machine (DNS rebinding).
        if not self._names_this_machine(headers.get("Host", "")):
            return (
                "Without API keys this service answers only under the name of this machine: call "
                "it as localhost or 127.0.0.1, or set FACETWIN_API_KEYS."
            )
        return ""

    def _is_foreign_page(self, headers: Headers) -> bool:
        origin = headers.get("Origin")
        if not origin or origin in self._settings.cors_origins:
            return False
        return origin.partition("://")[2] != headers.get("Host")

    def _names_this_machine(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in {"localhost", self._settings.host} or _is_loopback(name)


def _is_forwarded(headers: Headers) -> bool:
    """Whether a proxy says that it passed this on. Trust in it is none in its callers."""
    return any(name in _FORWARDED or name.startswith(_FORWARDED_PREFIX) for name in headers)


def _is_elsewhere(address: tuple[str, int | None] | None) -> bool:
    """Whether this end of the connection is not surely a loopback address."""
    return address is None or not _is_loopback(address[0])


def _is_loopback(name: str) -> bool:
    """Whether this is a loopback address."""
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
