"""Requests end in time; work that can't be stopped keeps its place until it ends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.api.errors import DeadlineExceededError, RequestTimeoutError
from app.api.time_limit import TimeLimitMiddleware
from app.runtime import Runtime
from app.settings import Settings
from tests.api.gated import GatedPipeline, wait_until
from tests.api.service import Service
from tests.api.test_errors import check_problem
from tests.dummy_pipeline import photo

SCOPE: Scope = {"type": "http", "path": "/", "headers": []}


def test_work_in_the_pool_keeps_its_permit_until_it_ends(
    settings: Settings, pipeline: GatedPipeline, gated: Callable[[Settings], Runtime]
) -> None:
    settings = settings.model_copy(update={"inference_threads": 1, "queue_size": 0})
    with Service(settings, gated) as service:
        service.enroll(photo("alice"))
    # Only what waits at the gate has to be late: a slow machine may be late with anything.
    limited = settings.model_copy(update={"request_timeout": 0.3})
    with Service(limited, gated) as service:
        pool = service.state["pool"]
        pipeline.gate.clear()
        late, busy = [], []

        def let_in() -> bool:
            late.append(service.verify(photo("alice", 2)))
            return bool(pool.in_flight)

        def turned_away() -> bool:
            busy.append(service.verify(photo("alice", 3)))
            return bool(busy[-1].json()["code"] == "overloaded")

        wait_until(let_in)
        wait_until(turned_away)
        in_flight = pool.in_flight
        pipeline.gate.set()
        wait_until(lambda: pool.in_flight == 0)
        wait_until(lambda: service.verify(photo("alice", 4)).status_code == 200)

    assert "FACETWIN_REQUEST_TIMEOUT" in check_problem(late[-1], "deadline_exceeded")["detail"]
    assert late[-1].headers["Retry-After"] == "1"
    check_problem(busy[-1], "overloaded")
    assert in_flight == 1


def test_a_client_that_pauses_is_told(settings: Settings) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"--b\r\n"
        await asyncio.sleep(30)

    with Service(settings.model_copy(update={"read_timeout": 0.2})) as service:
        response = service.request(
            "POST",
            "/verify",
            content=body(),
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        )

    assert "FACETWIN_READ_TIMEOUT" in check_problem(response, "request_timeout")["detail"]
    assert response.headers["Connection"] == "close"


class _Answers:
    def __init__(self) -> None:
        self.sent: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.sent.append(message)


def _run(
    app: Callable[[Scope, Receive, Send], Any],
    headers: Sequence[tuple[bytes, bytes]] = (),
    **update: float,
) -> list[Message]:
    """One request through the middleware; its body is complete."""
    answers = _Answers()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def call() -> None:
        limited = TimeLimitMiddleware(app, Settings().model_copy(update=update))
        await limited({**SCOPE, "headers": headers}, receive, answers)
        await asyncio.sleep(0.05)

    asyncio.run(call())
    return answers.sent


START: Message = {"type": "http.response.start", "status": 200, "headers": []}


def test_nothing_of_an_answer_that_is_late_gets_out() -> None:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await asyncio.sleep(30)
        finally:
            await send(START)

    with pytest.raises(DeadlineExceededError):
        _run(app, request_timeout=0.05)


def test_an_answer_that_has_begun_is_left_incomplete() -> None:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await asyncio.sleep(30)

    assert _run(app, request_timeout=0.05) == [START]


@pytest.mark.parametrize("header", [(b"content-length", b"10"), (b"transfer-encoding", b"chunked")])
def test_a_body_that_is_not_there_in_time_is_the_clients_fault(
    header: tuple[bytes, bytes],
) -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.sleep(30)

    with pytest.raises(RequestTimeoutError):
        _run(app, [header], request_timeout=0.05)


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"0")]])
def test_a_request_without_a_body_is_complete(headers: list[tuple[bytes, bytes]]) -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.sleep(30)

    with pytest.raises(DeadlineExceededError):
        _run(app, headers, request_timeout=0.05)


def test_after_the_body_a_client_may_be_silent() -> None:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.sleep(0.2)
        await receive()
        await send(START)

    assert _run(app, read_timeout=0.05) == [START]


def test_what_goes_wrong_in_time_goes_on() -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - it has no message
        _run(app)


def test_what_goes_wrong_too_late_is_logged_by_its_type(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            raise RuntimeError("a name") from None

    with caplog.at_level(logging.WARNING):
        _run(app, request_timeout=0.05)

    assert "RuntimeError" in caplog.text
    assert "a name" not in caplog.text
