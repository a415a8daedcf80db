"""Who may call: keys, roles and rates, decided before anything of the body is read."""

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.errors import ForbiddenError, UnauthorizedError
from app.api.key_watch import KeyWatch
from app.api.keyless import KeylessRules
from app.api.rate_limit import RateLimits, address_of
from app.api.roles import OPEN_PATHS, needed_role
from app.domain.access import Caller, Role
from app.services.key_ring import KeyRing
from app.settings import Settings

API_KEY_HEADER: Final = "X-API-Key"

_NOBODY: Final = Caller("nobody", Role.VERIFY)
"""Who asks whether the service is well, or was not let in."""


class AccessMiddleware:
    """Refuses callers without a key of the needed role, and those that call too often.

    While there are no keys at all, everyone on this machine is let in. The `Caller` is left in the
    request's state.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._limits = RateLimits(settings)
        self._keyless = KeylessRules(settings)
        self._watch = KeyWatch()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection.

        Raises:
            RateLimitedError: If the address or the key sends too many requests.
            UnauthorizedError: If a key is needed and missing or wrong.
            ForbiddenError: If the key's role does not allow the call, or if there are no keys and
                the call comes from where it should not.
        """
        if scope["type"] == "http":
            await self._admit(scope, Headers(scope=scope))
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope, headers: Headers) -> None:
        """Name the caller as soon as they are known, so that refusals are logged under the name."""
        state = scope["state"]
        state["caller"] = _NOBODY
        ring: KeyRing = state["key_ring"]
        if scope["path"] in OPEN_PATHS:
            if not ring.required:
                self._keyless.caller(scope, headers)
            return
        address = address_of(scope.get("client"))
        self._limits.check_address(address)
        await self._watch.freshen(ring)
        if not ring.required:
            state["caller"] = self._keyless.caller(scope, headers)
            return
        caller = state["caller"] = self._identify(ring, headers, address)
        self._limits.check_caller(caller)
        _check_role(caller, needed_role(scope["method"], scope["path"]))

    def _identify(self, ring: KeyRing, headers: Headers, address: str) -> Caller:
        caller = ring.identify(_presented_key(headers))
        if caller is None:
            self._limits.count_failure(address)
            if _presented_key(headers):
                raise UnauthorizedError("The API key that was sent is unknown or revoked.")
            raise UnauthorizedError(
                "Send one of the service's API keys as 'Authorization: Bearer KEY' or as "
                f"'{API_KEY_HEADER}: KEY'."
            )
        return caller


def _check_role(caller: Caller, needed: Role) -> None:
    if not caller.role.allows(needed):
        raise ForbiddenError(
            f"This needs an API key of the role {needed.value}; this one has the role "
            f"{caller.role.value}.",
            needed_role=needed.value,
        )


def _presented_key(headers: Headers) -> str:
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        token = headers.get(API_KEY_HEADER, "")
    # Headers are read as latin-1, keys are set in UTF-8.
    return token.strip().encode("latin-1").decode("utf-8", errors="replace")
