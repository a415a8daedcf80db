"""A real server process on a gallery of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any, Final

from benchmarks.photos import references

START_LIMIT_SECONDS: Final = 120
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Server:
    """A server that is ready.

    Attributes:
        port: Where it listens on loopback.
        seconds_to_ready: From starting the process to the first 200 of /readyz.
    """

    port: int
    process: subprocess.Popen[bytes]
    seconds_to_ready: float

    def get(self, path: str) -> dict[str, Any]:
        """The JSON that the service answers."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path)
        document: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return document

    def peak_rss_mib(self) -> float:
        """The most memory that was ever resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024


@contextmanager
def gallery(count: int) -> Iterator[Path]:
    """A folder for application data with `count` photos of the subject `default`."""
    with TemporaryDirectory(prefix="facetwin-benchmark-") as folder:
        images = Path(folder) / "verification_images"
        images.mkdir()
        for i, photo in enumerate(references(count)):
            (images / f"reference-{i:03}.jpg").write_bytes(photo)
        yield Path(folder)


@contextmanager
def running(application_data: Path) -> Iterator[Server]:
    """Start the service on a free port, wait until it is ready, and stop it at the end."""
    port = _free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FACETWIN_")}
    environment |= {
        "FACETWIN_APPLICATION_DATA_DIR": str(application_data),
        "FACETWIN_MODEL_DIR": os.environ.get("FACETWIN_MODEL_DIR", str(_ROOT / "model")),
        "FACETWIN_PORT": str(port),
        "FACETWIN_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-c", "from app.cli import main; main()", "serve"]
    started = perf_counter()
    process = subprocess.Popen(command, cwd=_ROOT, env=environment)
    try:
        _wait_until_ready(port, process, started)
        yield Server(port, process, perf_counter() - started)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], started: float) -> None:
    while perf_counter() - started < START_LIMIT_SECONDS:
        if process.poll() is not None:
            raise RuntimeError("the server did not start; its message stands above")
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass  # nobody listens yet
        finally:
            connection.close()
        sleep(0.01)
    raise TimeoutError(f"the server was not ready after {START_LIMIT_SECONDS} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
