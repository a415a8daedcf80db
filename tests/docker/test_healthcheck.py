import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from tests.docker.scripts import script

healthcheck = script("healthcheck")


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A server that gives one answer to one request; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(answer)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


@pytest.mark.parametrize(
    ("answer", "healthy"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"HTTP/1.1 2000\r\n\r\n", False),
        (b"", False),
    ],
)
def test_the_status_decides(answer: bytes, *, healthy: bool) -> None:
    with answering(answer) as port:
        assert healthcheck.is_healthy("127.0.0.1", port) is healthy


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert not healthcheck.is_healthy("127.0.0.1", port)


@pytest.mark.parametrize("host", ["0.0.0.0", "", "127.0.0.1"])
def test_it_asks_where_the_settings_say(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(b"HTTP/1.1 200 OK\r\n\r\n") as port:
        monkeypatch.setenv("FACETWIN_HOST", host)
        monkeypatch.setenv("FACETWIN_PORT", str(port))
        assert healthcheck.main() == 0
