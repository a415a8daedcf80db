"""Connections that can't be held open by clients that send or read too slowly, or not at all.

uvicorn bounds the size of a request's head and the time of an idle connection that was used
before. This adds the time of a head, of a whole request with its answer, and the number of
connections, in all and of one address; refusals are problem documents, as everywhere.
"""

import json
from asyncio import Handle, Transport
from dataclasses import dataclass
from typing import ClassVar, Final
from uuid import uuid4

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.api.errors import PROBLEM_MEDIA_TYPE, PROBLEMS, problem_type
from app.api.request_context import REQUEST_ID_HEADER
from app.api.security_headers import STANDARD_HEADERS
from app.api.time_limit import is_endless
from app.connection_shares import ConnectionShares
from app.logs import get_logger

GRACE_SECONDS: Final = 2.0
"""The application answers a late request itself; only then the connection is cut."""

LINGER_SECONDS: Final = 2.0
"""How long a client that was refused may go on sending, so that it can read why."""

_HEAD_BYTES: Final = 16 * 1024
"""Longest head of a request, rounded up to the next multiple of this."""

_SPARE_CONNECTIONS: Final = 64
"""Connections over the limit that are told so at one time; further ones are just closed."""

_SPARE_OF_ADDRESS: Final = 4
"""The same for one address: who is told still holds a connection for a moment."""

_log = get_logger("facetwin.requests")


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of one server.

    Attributes:
        read_timeout: Seconds from connecting, or from the first byte of a further request, to the
            end of the request's head.
        request_timeout: Seconds from there until the client has read the whole answer.
        max_connections: How many may be open at the same time.
        trusted_proxies: Addresses or networks that may have all of them; others get a share.
    """

    read_timeout: float
    request_timeout: float
    max_connections: int
    trusted_proxies: tuple[str, ...] = ()


def guarded_protocol(limits: ConnectionLimits) -> type["GuardedProtocol"]:
    """The protocol for uvicorn's option `http`."""
    shares = ConnectionShares(limits.max_connections, limits.trusted_proxies)
    return type("LimitedProtocol", (GuardedProtocol,), {"limits": limits, "shares": shares})


class GuardedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol under a watch."""

    limits: ClassVar[ConnectionLimits]
    shares: ClassVar[ConnectionShares]

    _head_timer: Handle | None = None
    _request_timer: Handle | None = None
    _watched: object = None
    _lingering = False
    _stalled = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Start the watch, or refuse a connection over the limit."""
        super().connection_made(transport)
        over = len(self.connections) - self.limits.max_connections
        over_share = self.shares.enter(self.client)
        if over > _SPARE_CONNECTIONS or over_share > _SPARE_OF_ADDRESS:
            transport.abort()
        elif over > 0 or over_share:
            whose = "of this address " if over_share else ""
            self._refuse(
                503, "overloaded", f"Too many connections {whose}are open. Try again in a moment."
            )
        else:
            self._await_head()

    def data_received(self, data: bytes) -> None:
        """Take in some of a request."""
        while data and not self._lingering:
            # h11 bounds a head only while it is incomplete, so it must not come all at once.
            taken = _HEAD_BYTES if self.conn.their_state is h11.IDLE else len(data)
            super().data_received(data[:taken])
            data = data[taken:]
            self._watch()

    def on_response_complete(self) -> None:
        """Go on to the next request, but do not wait long for the rest of a refused one."""
        super().on_response_complete()
        self._watch()
        if self.conn.their_state is h11.SEND_BODY:
            self._limit_request(LINGER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the watch."""
        self._cancel_timers()
        self.shares.leave(self.client)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text for its log
        """Answer to what is not HTTP."""
        self._refuse(400, "invalid_request", "This is not a valid HTTP/1.1 request.")

    def shutdown(self) -> None:
        """Close now, or after the answer that is on its way."""
        try:
            super().shutdown()
        except h11.LocalProtocolError:  # it was refused and is being closed
            self.transport.close()

    def _watch(self) -> None:
        """Note what the connection has come to."""
        if self._lingering:
            return
        if self.conn.their_state is h11.IDLE:
            self._await_head()
        elif self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if self.cycle is not self._watched:
            self._watched = self.cycle
            self._limit_request(self.limits.request_timeout + GRACE_SECONDS)

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.limits.read_timeout, self._head_is_late)

    def _limit_request(self, seconds: float) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
        self._request_timer = self.loop.call_later(seconds, self._request_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.conn.their_state is not h11.IDLE:
            return
        if not self.conn.trailing_data[0]:
            self.transport.close()  # nobody asked anything
            return
        seconds = self.limits.read_timeout
        self._refuse(
            408,
            "request_timeout",
            f"The request's headers were not there after {seconds:g} s (FACETWIN_READ_TIMEOUT).",
        )

    def _request_is_late(self) -> None:
        """Cut a client that does not read its answer, or goes on sending after it."""
        if self.cycle is not None and is_endless(self.cycle.scope):
            self._look_after_stream()
            return
        running = self.cycle is not None and not self.cycle.response_complete
        sending = self.conn.their_state is h11.SEND_BODY
        if running or sending or self.transport.get_write_buffer_size():
            self.transport.abort()

    def _look_after_stream(self) -> None:
        """Go on with a stream of events as long as its client reads it."""
        unread = self.transport.get_write_buffer_size() > 0
        if unread and self._stalled:
            self.transport.abort()
            return
        self._stalled = unread
        self._limit_request(self.limits.request_timeout)

    def _refuse(self, status: int, code: str, detail: str) -> None:
        """Answer outside the application, and close."""
        if self.cycle is not None and not self.cycle.response_complete:
            # What the application may still say has no place any more.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            request_id = uuid4().hex
            _log.info("refused", request_id=request_id, status=status, problem=code)
            body = _problem(status, code, detail, request_id)
            own = _headers(status, len(body), request_id)
            headers = [*self.server_state.default_headers, *own]
            for event in (
                h11.Response(status_code=status, headers=headers),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self._linger()

    def _linger(self) -> None:
        self._cancel_timers()
        self._lingering = True
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._request_timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _cancel_timers(self) -> None:
        for timer in (self._head_timer, self._request_timer):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._request_timer = None
        self._unset_keepalive_if_required()


def _problem(status: int, code: str, detail: str, request_id: str) -> bytes:
    document = {
        "type": problem_type(code),
        "title": PROBLEMS[code][1],
        "status": status,
        "detail": detail,
        "instance": "",
        "code": code,
        "request_id": request_id,
    }
    return json.dumps(document).encode()


def _headers(status: int, length: int, request_id: str) -> list[tuple[bytes, bytes]]:
    headers = {
        "Content-Type": PROBLEM_MEDIA_TYPE,
        "Content-Length": str(length),
        "Connection": "close",
        REQUEST_ID_HEADER: request_id,
        **STANDARD_HEADERS,
    }
    if status == 503:
        headers["Retry-After"] = "1"
    return [(name.encode(), value.encode()) for name, value in headers.items()]
