"""Clients that verify as fast as they are answered, each over one kept connection."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from time import perf_counter

from benchmarks.calls import FORM, form
from benchmarks.photos import probe


@dataclass(frozen=True)
class Run:
    """What some clients measured.

    Attributes:
        milliseconds: One entry a request, ascending.
        seconds: From the first request to the last answer.
    """

    milliseconds: list[float]
    seconds: float

    def percentile(self, percent: float) -> float:
        """Latency in ms that `percent` of the requests did not exceed."""
        last = len(self.milliseconds) - 1
        return self.milliseconds[round(last * percent / 100)]

    @property
    def per_second(self) -> float:
        """Requests answered in a second by all clients together."""
        return len(self.milliseconds) / self.seconds


def verify_many(port: int, *, clients: int, requests: int) -> Run:
    """Send `requests` verifications of one probe over `clients` connections.

    Raises:
        RuntimeError: If an answer is not a match.
    """
    body = form([("file", probe())])
    shares = [requests // clients + (i < requests % clients) for i in range(clients)]
    started = perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        measured = list(threads.map(lambda share: _client(port, body, share), shares))
    seconds = perf_counter() - started
    return Run(sorted(ms for each in measured for ms in each), seconds)


def _client(port: int, body: bytes, requests: int) -> list[float]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.connect()
    milliseconds = []
    for _ in range(requests):
        started = perf_counter()
        connection.request("POST", "/verify", body, FORM)
        response = connection.getresponse()
        answer = response.read()
        milliseconds.append((perf_counter() - started) * 1000)
        if response.status != 200 or json.loads(answer)["decision"] != "match":
            raise RuntimeError(f"status {response.status}: {answer.decode()}")
    connection.close()
    return milliseconds
