"""A real server process on a gallery of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import IO, Any, Final

from benchmarks.photos import references

START_LIMIT_SECONDS: Final = 120
COMMAND: Final = (sys.executable, "-m", "app")
"""The command `facetwin` of this checkout."""
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

    def stop(self, limit: float = 30) -> int:
        """Ask the process to end; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(limit)

    def kill(self) -> None:
        """End the process as a power cut would, without a chance to tidy up."""
        self.process.kill()
        self.process.wait()

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
def running(application_data: Path, settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Start the service on a free port, wait until it is ready, and stop it at the end."""
    server = start(application_data, settings)
    try:
        yield server
    finally:
        server.stop()


def start(application_data: Path, settings: Mapping[str, str] | None = None) -> Server:
    """Start the service on a free port and wait until it is ready.

    Raises:
        RuntimeError: If it ends before that; its message stands on standard error.
        TimeoutError: If it takes longer than START_LIMIT_SECONDS.
    """
    started = perf_counter()
    process, port = launch(application_data, settings)
    try:
        _wait_until_ready(port, process, started)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return Server(port, process, perf_counter() - started)


def launch(
    application_data: Path,
    settings: Mapping[str, str] | None = None,
    *,
    messages: IO[bytes] | None = None,
) -> tuple[subprocess.Popen[bytes], int]:
    """Start the service without waiting for it.

    Args:
        application_data: Its data.
        settings: Further FACETWIN_ variables; those of this process are not passed on.
        messages: Takes standard output and error; by default they stay where they are.

    Returns:
        The process, and the port that it will listen on.
    """
    port = _free_port()
    environment = environment_of(application_data) | {"FACETWIN_PORT": str(port)}
    process = subprocess.Popen(
        [*COMMAND, "serve"],
        cwd=_ROOT,
        env=environment | dict(settings or {}),
        stdout=messages,
        stderr=messages,
    )
    return process, port


def environment_of(application_data: Path) -> dict[str, str]:
    """Variables for a process that uses this data and the bundle in use."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FACETWIN_")}
    return environment | {
        "FACETWIN_APPLICATION_DATA_DIR": str(application_data),
        "FACETWIN_MODEL_DIR": os.environ.get("FACETWIN_MODEL_DIR", str(_ROOT / "model")),
        "FACETWIN_LOG_LEVEL": "warning",
    }


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], started: float) -> None:
    while perf_counter() - started < START_LIMIT_SECONDS:
        if process.poll() is not None:
            raise RuntimeError("the server did not start; its message stands above")
        if is_ready(port):
            return
        sleep(0.01)
    raise TimeoutError(f"the server was not ready after {START_LIMIT_SECONDS} s")


def is_ready(port: int) -> bool:
    """Whether /readyz answers 200."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False  # nobody listens yet
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
