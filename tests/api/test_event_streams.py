"""A stream of events has no end to wait for; everything else has."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.api.time_limit import ENDLESS, TimeLimitMiddleware
from app.http_protocol import ConnectionLimits, guarded_protocol
from app.settings import Settings

LIMIT = 0.05


def _start(kind: bytes, status: int = 200) -> Message:
    headers = [(b"content-type", kind)]
    return {"type": "http.response.start", "status": status, "headers": headers}


def _answer(start: Message, *, cancel: bool = False) -> tuple[list[Message], bool, list[str]]:
    """What gets out of an answer that takes longer than a request may, and how its work ended."""
    sent: list[Message] = []
    ends: list[str] = []
    scope: Scope = {"type": "http", "path": "/", "headers": [], "state": {}}
    end: Message = {"type": "http.response.body", "body": b"end"}

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        try:
            await send(start)
            await asyncio.sleep(30 if cancel else LIMIT * 6)
            await send(end)
            ends.append("ended")
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    async def call() -> None:
        settings = Settings().model_copy(update={"request_timeout": LIMIT})
        request = asyncio.ensure_future(TimeLimitMiddleware(app, settings)(scope, receive, send))
        if cancel:
            await asyncio.sleep(LIMIT * 3)
            request.cancel()
        await asyncio.gather(request, return_exceptions=True)
        await asyncio.sleep(LIMIT)

    asyncio.run(call())
    return sent, end in sent, ends


@pytest.mark.parametrize("kind", [b"text/event-stream", b"text/event-stream; charset=utf-8"])
def test_a_stream_of_events_is_sent_to_its_end(kind: bytes) -> None:
    assert _answer(_start(kind))[1:] == (True, ["ended"])


@pytest.mark.parametrize(
    "start",
    [
        _start(b"application/json"),
        _start(b"text/event-streams"),
        _start(b"text/event-stream", 503),
        {"type": "http.response.start", "status": 200, "headers": []},
    ],
)
def test_any_other_answer_is_cut(start: Message) -> None:
    assert _answer(start)[1:] == (False, ["cancelled"])


def test_a_stream_ends_with_its_request() -> None:
    sent, _, ends = _answer(_start(b"text/event-stream"), cancel=True)
    assert len(sent) == 1
    assert ends == ["cancelled"]


class _Transport:
    def __init__(self) -> None:
        self.unread = 0
        self.aborted = False

    def get_write_buffer_size(self) -> int:
        return self.unread

    def abort(self) -> None:
        self.aborted = True


class _Conn:
    their_state = None


class _Cycle:
    response_complete = False

    def __init__(self, *, endless: bool) -> None:
        self.scope = {"state": {ENDLESS: True} if endless else {}}


def _late(*unread: int, endless: bool = True) -> bool:
    """Whether a connection is cut whose client has left this much unread at each look."""
    transport = _Transport()

    async def look() -> None:
        protocol: Any = object.__new__(guarded_protocol(ConnectionLimits(1, 60, 10)))
        protocol.loop = asyncio.get_running_loop()
        protocol.transport, protocol.conn = transport, _Conn()
        protocol.cycle = _Cycle(endless=endless)
        for size in unread:
            transport.unread = size
            protocol._request_is_late()
        if protocol._request_timer is not None:
            protocol._request_timer.cancel()

    asyncio.run(look())
    return transport.aborted


def test_a_listener_that_does_not_read_is_cut() -> None:
    assert not _late(0, 0, 0)
    assert not _late(9, 0, 9, 0)
    assert _late(0, 9, 9)
    assert _late(0, endless=False)
