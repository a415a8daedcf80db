"""How many connections each address has open, so that one can't take them all."""

from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Final

from app.api.rate_limit import address_of

_LEAST_SHARE: Final = 8
_SHARES: Final = 4


class ConnectionShares:
    """Counts connections by address, an IPv6 client's /64 as one.

    Proxies pass on the calls of many, so trusted ones have no share to keep to, nor has this
    machine: a proxy on it need not be named in the settings.

    Args:
        max_connections: Of the server; an address may have a quarter, but never less than 8.
        trusted_proxies: Addresses or networks.
    """

    def __init__(self, max_connections: int, trusted_proxies: Sequence[str]) -> None:
        self.share = max(_LEAST_SHARE, max_connections // _SHARES)
        self._proxies = [ip_network(proxy, strict=False) for proxy in trusted_proxies]
        self._open: Counter[str] = Counter()

    def enter(self, client: tuple[str, int] | None) -> int:
        """Count a connection. Returns by how many its address is over its share, or 0."""
        if self._is_exempt(client):
            return 0
        address = address_of(client)
        self._open[address] += 1
        return max(0, self._open[address] - self.share)

    def leave(self, client: tuple[str, int] | None) -> None:
        """Count a connection that ended."""
        if self._is_exempt(client):
            return
        address = address_of(client)
        if self._open[address] > 1:
            self._open[address] -= 1
        else:
            del self._open[address]

    def __len__(self) -> int:
        return len(self._open)

    def _is_exempt(self, client: tuple[str, int] | None) -> bool:
        try:
            address = ip_address(client[0] if client else "")
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return address.is_loopback or any(address in proxy for proxy in self._proxies)
