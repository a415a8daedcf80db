"""How a service ends: it drains, cuts what is left, closes, and exits with 0."""

import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from socket import socket
from time import monotonic

import pytest

from app.__main__ import main
from tests.api.process import PATIENCE, ROOT, Answer, ServerProcess, ask, read_all, running
from tests.dummy_pipeline import photo


def _begin(server: ServerProcess, clients: ThreadPoolExecutor) -> Future[Answer]:
    """A request that is in work until the gate is there."""
    server.post("/enroll", photo("alice"), "files")
    in_work = clients.submit(server.post, "/verify", photo("slow"))
    while b"facetwin_inference_in_flight 1.0" not in server.get("/metrics").body:
        assert not in_work.done()
    return in_work


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_service_ends_at_once_with_0(tmp_path: Path, number: int) -> None:
    with running(tmp_path, shutdown_timeout=600) as server, server.socket() as idle:
        server.stop(number)

        assert server.exit_code() == 0
        assert read_all(idle) == b""
    assert "Traceback" not in server.log_text()


def test_running_requests_finish_and_new_ones_are_refused(tmp_path: Path) -> None:
    with (
        running(tmp_path, shutdown_timeout=600) as server,
        ThreadPoolExecutor(1) as clients,
        closing(server.connection()) as kept,
    ):
        assert ask(kept, "GET", "/readyz").status == 200
        in_work = _begin(server, clients)
        server.stop()
        server.wait_for_log("draining")

        over_new = [server.get(path) for path in ("/readyz", "/version", "/nowhere")]
        over_kept = ask(kept, "GET", "/readyz")
        refused_form = server.post("/verify", photo("alice"))
        alive = server.get("/healthz")
        server.gate.touch()
        finished = in_work.result()
        code = server.exit_code()

    for answer in [*over_new, over_kept, refused_form]:
        assert answer.status == 503
        assert answer.json()["code"] == "shutting_down"
        assert answer.headers["connection"] == "close"
        assert int(answer.headers["retry-after"]) >= 1
    assert alive.status == 200
    assert finished.status == 200
    assert finished.json()["decision"] == "no_match"
    assert code == 0


def test_what_takes_too_long_is_cut(tmp_path: Path) -> None:
    with running(tmp_path, shutdown_timeout=1) as server, ThreadPoolExecutor(1) as clients:
        in_work = _begin(server, clients)
        started = monotonic()
        server.stop()
        code = server.exit_code()

        assert code == 0
        assert 1 <= monotonic() - started < PATIENCE
        with pytest.raises(OSError):  # noqa: PT011 - reset or closed, as the system likes
            in_work.result()
    assert "cut" in server.log_text()


@pytest.mark.parametrize("start_of_request", [b"", b"GET /he", b"POST /verify HTTP/1.1\r\n"])
def test_idle_and_slow_clients_do_not_hold_it_up(tmp_path: Path, start_of_request: bytes) -> None:
    with (
        running(tmp_path, shutdown_timeout=600, read_timeout=600) as server,
        server.socket() as client,
    ):
        client.sendall(start_of_request)
        assert server.get("/healthz").status == 200
        server.stop()
        assert server.exit_code() == 0


def test_a_client_that_does_not_read_does_not_hold_it_up(tmp_path: Path) -> None:
    with (
        running(tmp_path, shutdown_timeout=1, request_timeout=600) as server,
        server.socket(receive_buffer=4096) as client,
    ):
        client.settimeout(1)
        with pytest.raises(TimeoutError):
            _send_forever(client, b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        server.stop()
        assert server.exit_code() == 0


def _send_forever(client: socket, data: bytes) -> None:
    while True:
        client.sendall(data)


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with running(tmp_path, shutdown_timeout=600) as server, ThreadPoolExecutor(1) as clients:
        in_work = _begin(server, clients)
        server.stop()
        server.wait_for_log("draining")
        server.stop()

        assert server.exit_code() == 128 + signal.SIGTERM
        assert in_work.exception() is not None


def test_the_database_is_closed(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        server.post("/enroll", photo("alice"), "files")
        server.stop()
        assert server.exit_code() == 0

    files = {path.name for path in (tmp_path / "data").glob("facetwin.sqlite*")}
    assert files == {"facetwin.sqlite"}
    with sqlite3.connect(tmp_path / "data" / "facetwin.sqlite") as database:
        assert database.execute("SELECT count(*) FROM images").fetchone() == (1,)
    database.close()


@pytest.mark.parametrize(("command", "code"), [("serve", 0), ("verify", -signal.SIGTERM)])
def test_a_start_can_be_stopped_from_the_first_import_on(command: str, code: int) -> None:
    """Only of the service: a command that was stopped has no success to tell of."""
    program = (
        "import sys, time, types\n"
        f"sys.argv = ['facetwin', '{command}']\n"
        "class Slow(types.ModuleType):\n"
        "    def main(self):\n"
        "        print('starting', flush=True)\n"
        "        time.sleep(600)\n"
        "import app\n"
        "app.cli = sys.modules['app.cli'] = Slow('app.cli')\n"
        "from app.__main__ import main\n"
        "main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"starting\n"
        process.terminate()
        assert process.wait(PATIENCE) == code


def test_no_signal_falls_between_the_start_and_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Process 1 ignores a signal that it has no handler for."""
    seen = []

    def look(*_args: object, **_kwargs: object) -> None:
        seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("app.runtime.open_serving_runtime", look)
    monkeypatch.setattr("app.server.serve", look)
    monkeypatch.setattr(sys, "argv", ["facetwin", "serve"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert len(seen) == 2
    assert all(callable(handler) and handler is not before for handler in seen)
    assert signal.getsignal(signal.SIGTERM) is before
