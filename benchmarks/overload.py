"""Twice the load that the service can bear: `python -m benchmarks.overload`.

Requests come at a fixed rate, whether or not the earlier ones are answered. Half of them show the
person enrolled, half somebody else. Exit code 1 if an answer is wrong, if one is neither right nor
503 or 429 with Retry-After, if memory grows, or if the service does not recover.
"""

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Lock, Thread
from time import perf_counter, sleep
from typing import Any, Final

from app.settings import Settings
from app.settings.cpus import usable_cpus
from benchmarks.calls import BROKEN, FORM, Answer, Caller, form
from benchmarks.clients import verify_many
from benchmarks.photos import PEOPLE, variant
from benchmarks.report import publish, rounded
from benchmarks.sampling import Sampler, growth_by_line, growth_by_tenths
from benchmarks.server import Server, gallery, running

CLIENTS: Final = 160
"""Connections; more than the service holds requests, so that no arrival waits for a client."""
REFERENCES: Final = 10
WARM_UP_SECONDS: Final = 10
"""After this many seconds under load memory must not grow any more."""
GROWTH_LIMIT: Final = 0.05
WITHOUT_LIMITS: Final = {
    "FACETWIN_RATE_LIMIT_PER_ADDRESS": "0",
    "FACETWIN_RATE_LIMIT_PER_KEY": "0",
}


@dataclass
class Tally:
    """What came back; safe to use from many threads.

    Attributes:
        answers: By kind: match, no_match, status 503, status 429, or what is wrong.
        milliseconds: From the arrival to the whole answer, of accepted requests.
        refused_ms: The same of refused ones.
        late_ms: How long arrivals waited for a client of the benchmark.
    """

    answers: Counter[str] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    refused_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def add(self, expected: str, answer: Answer | None, arrival: float, sent: float) -> None:
        """Count one answer; None if the connection broke."""
        spent = (perf_counter() - arrival) * 1000
        kind = _kind(answer)
        with self.lock:
            self.answers[kind] += 1
            self.late_ms.append((sent - arrival) * 1000)
            if kind == expected:
                self.milliseconds.append(spent)
            elif kind in {"503", "429"}:
                self.refused_ms.append(spent)
            else:
                self.wrong.append(f"expected {expected}, got {kind}")


def _kind(answer: Answer | None) -> str:
    if answer is None:
        return "connection broken"
    if answer.status == 200:
        return str(answer.document.get("decision"))
    if answer.status in {429, 503} and int(answer.headers.get("retry-after", 0)) >= 1:
        return str(answer.status)
    return f"{answer.status} {answer.code}"


def main() -> None:
    options = _arguments()
    failed = False
    for name, settings in {"default limits": {}, "no rate limits": WITHOUT_LIMITS}.items():
        if options.limits in {"both", name.split()[0]}:
            figures, model, problems = measure(options.seconds, settings)
            document = {"limits": name, **figures, "problems": problems}
            publish("overload", document, model=model, as_json=options.json)
            failed = failed or bool(problems)
    sys.exit(failed)


def measure(seconds: float, settings: dict[str, str]) -> tuple[dict[str, Any], str, list[str]]:
    """One server: idle, its capacity, twice that, and idle again."""
    with gallery(REFERENCES) as folder, running(folder, settings) as server:
        verify_many(server.port, clients=8, requests=80)
        idle = verify_many(server.port, clients=1, requests=40)
        capacity = verify_many(server.port, clients=8, requests=200)
        sampler = Sampler(server.process.pid, folder)
        tally = Tally()
        with sampler.every(1):
            offer(server, tally, rate=2 * capacity.per_second, seconds=seconds)
        recovery = _recovery_seconds(server)
        after = verify_many(server.port, clients=1, requests=40)
        model = server.get("/version")["model"]["version"]
    settled = sampler.since(min(WARM_UP_SECONDS, seconds / 3))
    figures = {
        "seconds": rounded(seconds),
        "capacity_per_second": rounded(capacity.per_second),
        "offered_per_second": rounded(len(tally.late_ms) / seconds),
        "accepted_per_second": rounded(len(tally.milliseconds) / seconds),
        "answers": dict(sorted(tally.answers.items())),
        "idle_p50_ms": rounded(idle.percentile(50)),
        **percentiles("accepted", tally.milliseconds),
        **percentiles("refused", tally.refused_ms),
        **percentiles("client_late", tally.late_ms),
        "rss_mib_first": rounded(settled[0].rss_mib),
        "rss_mib_last": rounded(settled[-1].rss_mib),
        "rss_mib_most": rounded(max(sample.rss_mib for sample in sampler.samples)),
        "rss_growth_tenths": round(growth_by_tenths(settled, lambda s: s.rss_mib), 4),
        "rss_growth_line": round(growth_by_line(settled, lambda s: s.rss_mib), 4),
        "threads_most": max(sample.threads for sample in sampler.samples),
        "recovery_seconds": rounded(recovery),
        "after_p50_ms": rounded(after.percentile(50)),
    }
    return figures, model, _problems(figures, tally)


def offer(server: Server, tally: Tally, *, rate: float, seconds: float) -> None:
    """Let requests arrive `rate` times a second, and wait for the last answer."""
    bodies = [
        (decision, form([("file", variant(person, seed))]))
        for seed in range(20)
        for person, decision in zip(PEOPLE, ("match", "no_match"), strict=True)
    ]
    arrivals: SimpleQueue[tuple[float, str, bytes] | None] = SimpleQueue()
    clients = [Thread(target=_client, args=(server.port, arrivals, tally)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    started = perf_counter()
    for number in range(int(rate * seconds)):
        arrival = started + number / rate
        sleep(max(0.0, arrival - perf_counter()))
        arrivals.put((arrival, *bodies[number % len(bodies)]))
    for _ in clients:
        arrivals.put(None)
    for client in clients:
        client.join()


def _client(
    port: int, arrivals: "SimpleQueue[tuple[float, str, bytes] | None]", tally: Tally
) -> None:
    caller = Caller(port)
    while (request := arrivals.get()) is not None:
        arrival, expected, body = request
        sent = perf_counter()
        try:
            answer = caller.call("POST", "/verify", body, FORM)
        except BROKEN:
            tally.add(expected, None, arrival, sent)
        else:
            tally.add(expected, answer, arrival, sent)
    caller.close()


def _recovery_seconds(server: Server) -> float:
    """Until a verification is accepted again; a rate limit may have to run out first."""
    caller, body = Caller(server.port), form([("file", variant(PEOPLE[0], 0))])
    started = perf_counter()
    while caller.call("POST", "/verify", body, FORM).status != 200:
        sleep(0.05)
    caller.close()
    return perf_counter() - started


def _problems(figures: dict[str, Any], tally: Tally) -> list[str]:
    problems = [f"{count} x {what}" for what, count in Counter(tally.wrong).items()]
    # Whoever is let in waits for at most the threads and the queue before him.
    places = usable_cpus() + Settings.model_fields["queue_size"].default
    bound = 3000 * places / max(1, figures["accepted_per_second"])
    if not tally.milliseconds or figures["accepted_p99_ms"] > bound:
        problems.append(f"accepted requests took longer than {bound:.0f} ms at p99")
    if max(figures["rss_growth_tenths"], figures["rss_growth_line"]) > GROWTH_LIMIT:
        problems.append("memory grew")
    if figures["recovery_seconds"] > 5:
        problems.append("the service did not recover at once")
    return problems


def percentiles(name: str, values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)
    return {
        f"{name}_p{p}_ms": rounded(ordered[round((len(ordered) - 1) * p / 100)])
        for p in (50, 95, 99)
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="length of the load")
    parser.add_argument(
        "--limits", choices=("both", "default", "no"), default="both", help="rate limits"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one document a run")
    return parser.parse_args()


if __name__ == "__main__":
    main()
