"""Clients that are slow, silent, rude or too many, over real sockets."""

import json
from collections.abc import Iterator
from pathlib import Path
from socket import socket
from threading import Thread
from time import monotonic, sleep

import pytest

from app.api.security_headers import STANDARD_HEADERS
from tests.api.gated import wait_until
from tests.api.process import Answer, ServerProcess, form, parse, read_all, running
from tests.dummy_pipeline import photo

READ_TIMEOUT = 0.6


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("connections")
    with running(folder, read_timeout=READ_TIMEOUT, request_timeout=2, max_connections=8) as server:
        yield server


def test_a_silent_connection_is_closed(server: ServerProcess) -> None:
    started = monotonic()
    with server.socket() as client:
        assert read_all(client) == b""
        assert monotonic() - started > READ_TIMEOUT / 2


@pytest.mark.parametrize("head", [b"G", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: b"])
def test_a_head_that_stops_is_refused(server: ServerProcess, head: bytes) -> None:
    with server.socket() as client:
        client.sendall(head)
        answer = parse(read_all(client))

    assert answer.status == 408
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert answer.json()["code"] == "request_timeout"
    _check_headers_and_log(server, answer)


def test_a_head_byte_by_byte_is_refused_all_the_same(server: ServerProcess) -> None:
    with server.socket() as client:
        stop = False

        def trickle() -> None:
            for byte in b"GET /healthz HTTP/1.1\r\nX-Long: " + b"a" * 10_000:
                if stop:
                    return
                try:
                    client.sendall(bytes([byte]))
                except OSError:
                    return
                sleep(0.02)

        sender = Thread(target=trickle)
        sender.start()
        answer = parse(read_all(client))
        stop = True
        sender.join()

    assert answer.status == 408


def test_the_second_head_on_a_connection_is_watched_too(server: ServerProcess) -> None:
    with server.socket() as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hea")
        raw = read_all(client)

    assert raw.startswith(b"HTTP/1.1 200")
    assert b"request_timeout" in raw or raw.count(b"HTTP/1.1") == 1


def test_a_body_that_pauses_is_refused(server: ServerProcess) -> None:
    body, headers = form(photo("alice"))
    with server.socket() as client:
        client.sendall(_head("/verify", len(body), headers) + body[:-5])
        answer = parse(read_all(client))

    assert answer.status == 408
    assert answer.headers["connection"] == "close"
    assert answer.json()["code"] == "request_timeout"
    assert "FACETWIN_READ_TIMEOUT" in answer.json()["detail"]


def test_a_body_that_trickles_is_refused_in_the_end(tmp_path: Path) -> None:
    with (
        running(tmp_path, read_timeout=30, request_timeout=1) as server,
        server.socket() as client,
    ):
        client.sendall(_head("/verify", 1000, form(b"")[1]) + b"--b\r\n")
        client.settimeout(0.1)
        received = b""
        while not received:
            client.sendall(b"C")
            try:
                received = client.recv(65536)
            except TimeoutError:
                continue
        client.settimeout(30)
        received += read_all(client)

    answer = parse(received)
    assert answer.status == 408
    assert "FACETWIN_REQUEST_TIMEOUT" in answer.json()["detail"]


def test_work_that_takes_too_long_is_answered(server: ServerProcess) -> None:
    server.gate.unlink(missing_ok=True)
    answer = server.post("/enroll", photo("slow"), "files")
    server.gate.touch()

    assert answer.status == 503
    assert answer.json()["code"] == "deadline_exceeded"
    assert int(answer.headers["retry-after"]) >= 1


def test_what_a_client_sends_after_a_refusal_is_not_awaited_for_long(
    server: ServerProcess,
) -> None:
    with server.socket() as client:
        client.sendall(_head("/verify", 150_000_000, {}))
        assert client.recv(65536).startswith(b"HTTP/1.1 413")
        with pytest.raises(OSError, match=r"reset|pipe|abort"):
            _send_forever(client, b"x" * 1000)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"this is not http\r\n\r\n",
        b"GET / HTTP/1.1\r\nNo colon here\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n",
        b"POST /verify HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /verify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http_gets_a_problem(server: ServerProcess, request_bytes: bytes) -> None:
    with server.socket() as client:
        client.sendall(request_bytes)
        answer = parse(read_all(client))

    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "invalid_request"
    assert "server" not in answer.headers
    _check_headers_and_log(server, answer)


def test_connections_over_the_limit_are_told_so(tmp_path: Path) -> None:
    clients: list[socket] = []
    with running(tmp_path, read_timeout=60, max_connections=8) as server:
        try:
            for _ in range(8):
                client = server.socket()
                clients.append(client)
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert client.recv(65536).startswith(b"HTTP/1.1 200")
            with server.socket() as one_more:
                answer = parse(read_all(one_more))
            assert answer.status == 503
            assert answer.json()["code"] == "overloaded"
            assert answer.headers["retry-after"] == "1"
            _check_headers_and_log(server, answer)
        finally:
            for client in clients:
                client.close()
        wait_until(lambda: _is_well(server))


def test_the_answers_of_the_server_itself_name_no_server(server: ServerProcess) -> None:
    assert "server" not in server.get("/healthz").headers


def test_a_client_that_does_not_read_is_cut(tmp_path: Path) -> None:
    with running(tmp_path, read_timeout=5, request_timeout=1) as server:
        with server.socket(receive_buffer=4096) as client:
            request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
            with pytest.raises(OSError, match=r"reset|pipe|abort"):
                _send_forever(client, request)
        assert server.get("/healthz").status == 200


def _send_forever(client: socket, data: bytes) -> None:
    while True:
        client.sendall(data)
        sleep(0.01)


def _check_headers_and_log(server: ServerProcess, answer: Answer) -> None:
    """What the server says without the application carries what the application's answers do."""
    for name, value in STANDARD_HEADERS.items():
        assert answer.headers[name.lower()] == value
    request_id = answer.json()["request_id"]
    assert answer.headers["x-request-id"] == request_id
    line = json.loads(server.wait_for_log(rf"{{.*{request_id}.*}}")[0])
    code = answer.json()["code"]
    assert (line["message"], line["status"], line["problem"]) == ("refused", answer.status, code)


def _is_well(server: ServerProcess) -> bool:
    return server.get("/healthz").status == 200


def _head(path: str, length: int, headers: dict[str, str]) -> bytes:
    lines = {"Host": "localhost", "Content-Length": str(length), **headers}
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{text}\r\n".encode()


def test_the_log_has_no_traceback(server: ServerProcess) -> None:
    lines = [json.loads(line) for line in server.log_text().splitlines()]
    assert not [line for line in lines if "exception" in line]
