"""No address has all connections, but proxies and this machine may."""

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from app.connection_shares import ConnectionShares
from app.http_protocol import ConnectionLimits, GuardedProtocol, guarded_protocol
from tests.api.process import parse

STRANGER = ("192.0.2.1", 5000)


def test_an_address_has_a_quarter() -> None:
    shares = ConnectionShares(512, ())

    assert [shares.enter(STRANGER) for _ in range(130)] == [0] * 128 + [1, 2]
    assert shares.enter(("192.0.2.2", 1)) == 0


def test_the_least_share_is_eight() -> None:
    shares = ConnectionShares(4, ())

    assert [shares.enter(STRANGER) for _ in range(9)] == [0] * 8 + [1]


def test_connections_that_ended_are_given_back_and_forgotten() -> None:
    shares = ConnectionShares(4, ())
    for _ in range(20):
        shares.enter(STRANGER)
    for _ in range(20):
        shares.leave(STRANGER)

    assert len(shares) == 0
    assert shares.enter(STRANGER) == 0


def test_an_ipv6_client_is_its_network() -> None:
    shares = ConnectionShares(4, ())

    assert [shares.enter((f"2001:db8::{i:x}", 1)) for i in range(9)][-1] == 1


@pytest.mark.parametrize(
    "exempt", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "10.1.2.3", "2001:db8::1"]
)
def test_proxies_and_this_machine_have_no_share(exempt: str) -> None:
    shares = ConnectionShares(4, ("10.0.0.0/8", "2001:db8::1"))
    for _ in range(8):
        shares.enter(("2001:db8::2", 1))

    assert {shares.enter((exempt, 1)) for _ in range(100)} == {0}
    for _ in range(100):
        shares.leave((exempt, 1))
    assert shares.enter(("2001:db8::2", 1)) == 1


class _Wire(asyncio.Transport):
    """One end of a connection from an address that a test can't have."""

    def __init__(self, client: tuple[str, int]) -> None:
        super().__init__({"peername": client, "sockname": ("192.0.2.9", 80)})
        self.sent = bytearray()
        self.cut = False

    def write(self, data: Any) -> None:
        self.sent += data

    def can_write_eof(self) -> bool:
        return False

    def resume_reading(self) -> None:
        pass

    def abort(self) -> None:
        self.cut = True

    def close(self) -> None:
        pass


async def _application(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Nobody gets as far as here."""


async def _connect(kind: type[GuardedProtocol], state: ServerState, client: tuple[str, int]) -> Any:
    config = Config(_application, log_config=None, lifespan="off")
    protocol = kind(config=config, server_state=state, app_state={})
    wire = _Wire(client)
    protocol.connection_made(wire)
    return protocol, wire


def test_a_stranger_leaves_room_for_others() -> None:
    async def scenario() -> tuple[list[_Wire], _Wire]:
        kind, state = guarded_protocol(ConnectionLimits(10, 10, 64)), ServerState()
        strangers = [await _connect(kind, state, STRANGER) for _ in range(40)]
        other, wire = await _connect(kind, state, ("192.0.2.2", 1))
        for protocol, _ in [*strangers, (other, wire)]:
            protocol.connection_lost(None)
        return [w for _, w in strangers], wire

    strangers, other = asyncio.run(scenario())
    refused = [wire for wire in strangers if wire.sent]
    assert [bool(wire.sent or wire.cut) for wire in strangers] == [False] * 16 + [True] * 24
    # Few are told why, since each holds a connection for a moment.
    assert (len(refused), sum(wire.cut for wire in strangers)) == (4, 20)
    answer = parse(bytes(refused[0].sent))
    assert (answer.status, answer.json()["code"]) == (503, "overloaded")
    assert "of this address" in answer.json()["detail"]
    assert not other.sent
    assert not other.cut
