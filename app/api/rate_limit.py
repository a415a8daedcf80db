"""How often a key or an address may call: token buckets in bounded memory."""

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from time import monotonic
from typing import Final

from app.api.errors import RateLimitedError
from app.domain.access import Caller
from app.settings import Settings

BURST_SECONDS: Final = 10
"""A caller that was quiet may send this many seconds' worth at once, and never less than one."""

MAX_CALLERS: Final = 10_000
"""Callers remembered; the one that was quiet for longest is forgotten first."""

_IPV6_PREFIX: Final = 64
_MINUTE: Final = 60.0
_LONGEST: Final = 64


class Buckets:
    """One token bucket for each caller.

    Args:
        per_minute: Tokens that a caller gets each minute; 0 sets no limit.
        clock: Monotonic seconds.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = monotonic) -> None:
        self._rate = per_minute / _MINUTE
        self._burst = max(1.0, self._rate * BURST_SECONDS)
        self._clock = clock
        self._callers: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> float:
        """Take a token. Returns 0, or the seconds after which there is one if there is none."""
        wait = self.wait(caller)
        if self._rate and not wait:
            self._keep(caller, self._tokens(caller) - 1)
        return wait

    def wait(self, caller: str) -> float:
        """Seconds after which the caller has a token, 0 if there is one now; takes none."""
        if not self._rate:
            return 0.0
        return max(0.0, (1 - self._tokens(caller)) / self._rate)

    def __len__(self) -> int:
        return len(self._callers)

    def _tokens(self, caller: str) -> float:
        tokens, at = self._callers.get(caller, (self._burst, 0.0))
        return min(self._burst, tokens + (self._clock() - at) * self._rate)

    def _keep(self, caller: str, tokens: float) -> None:
        self._callers[caller] = (tokens, self._clock())
        self._callers.move_to_end(caller)
        if len(self._callers) > MAX_CALLERS:
            self._callers.popitem(last=False)


class RateLimits:
    """The limits of the settings: per address, per key, and on wrong keys per address."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = monotonic) -> None:
        self._addresses = Buckets(settings.rate_limit_per_address, clock=clock)
        self._keys = Buckets(settings.rate_limit_per_key, clock=clock)
        self._failures = Buckets(settings.rate_limit_failures, clock=clock)

    def check_address(self, address: str) -> None:
        """Count a request.

        Raises:
            RateLimitedError: If the address sends too many.
        """
        _refuse(self._addresses.take(address), "This address sends too many requests.")

    def count_failure(self, address: str) -> None:
        """Count a wrong or missing key. Right ones are not held up: callers share addresses.

        Raises:
            RateLimitedError: If the address sent too many.
        """
        _refuse(
            self._failures.take(address),
            "Too many requests without a right API key came from this address.",
        )

    def check_caller(self, caller: Caller) -> None:
        """Count a request of a key.

        Raises:
            RateLimitedError: If it is used too often.
        """
        _refuse(self._keys.take(caller.name), "This API key sends too many requests.")


def address_of(client: tuple[str, int] | None) -> str:
    """What a client's address counts as: an IPv6 client owns a whole /64."""
    host = client[0] if client else ""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host[:_LONGEST]
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network((int(address), _IPV6_PREFIX), strict=False))
    return str(address)


def _refuse(wait: float, reason: str) -> None:
    if wait > 0:
        seconds = max(1, ceil(wait))
        raise RateLimitedError(f"{reason} Try again in {seconds} s.", retry_after=seconds)
