"""A real server process, spoken to over real sockets."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from time import monotonic, sleep
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"""Far more than anything here takes; only a hang gets there."""


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class ServerProcess:
    process: subprocess.Popen[bytes]
    port: int
    log: Path
    gate: Path

    def socket(self, *, receive_buffer: int | None = None) -> socket.socket:
        client = socket.socket()
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", self.port))
        return client

    def connection(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def get(self, path: str) -> Answer:
        with closing(self.connection()) as connection:
            return ask(connection, "GET", path)

    def post(self, path: str, photo: bytes, field: str = "file") -> Answer:
        with closing(self.connection()) as connection:
            return ask(connection, "POST", path, *form(photo, field))

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def exit_code(self) -> int:
        return self.process.wait(PATIENCE)

    def log_text(self) -> str:
        return self.log.read_text("utf-8")

    def wait_for_log(self, pattern: str) -> re.Match[str]:
        deadline = monotonic() + PATIENCE
        while True:
            found = re.search(pattern, self.log_text())
            if found:
                return found
            assert self.process.poll() is None, self.log_text()
            assert monotonic() < deadline, self.log_text()
            sleep(0.01)


@contextmanager
def running(folder: Path, **settings: object) -> Iterator[ServerProcess]:
    """Start a server on a free port; it is killed at the end if it still runs."""
    log, gate = folder / "log", folder / "gate"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FACETWIN_")}
    environment |= {
        "FACETWIN_APPLICATION_DATA_DIR": str(folder / "data"),
        "FACETWIN_PORT": "0",
        "FACETWIN_LOG_FORMAT": "json",
        "TEST_GATE": str(gate),
    }
    environment |= {f"FACETWIN_{name.upper()}": str(value) for name, value in settings.items()}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.api.runner"], cwd=ROOT, env=environment, stderr=output
        )
    server = ServerProcess(process, 0, log, gate)
    try:
        server.port = int(server.wait_for_log(r"running on http://127\.0\.0\.1:(\d+)")[1])
        yield server
    finally:
        process.kill()
        process.wait()


def ask(
    connection: HTTPConnection,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    connection.request(method, path, body, headers or {})
    return answer_of(connection.getresponse())


def answer_of(response: HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


def read_all(client: socket.socket) -> bytes:
    """All that comes until the server closes or cuts the connection."""
    received = bytearray()
    try:
        while data := client.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return bytes(received)


def parse(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return Answer(int(first.split()[1]), {k.lower(): v for k, v in pairs}, body)


def form(photo: bytes, field: str = "file") -> tuple[bytes, dict[str, str]]:
    """Body and headers of a form with one photo."""
    disposition = f'form-data; name="{field}"; filename="p.jpg"'.encode()
    body = b"--b\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + photo + b"\r\n--b--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=b"}
