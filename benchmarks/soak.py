"""A mixed load at half of what the service can do, for long: `python -m benchmarks.soak`.

Exit code 1 if an answer is wrong, or if memory grows by 5 % or more after the warm-up.
"""

import argparse
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Lock, Thread
from time import perf_counter, sleep
from typing import Any, Final

from benchmarks.calls import BROKEN, Answer, Caller
from benchmarks.clients import verify_many
from benchmarks.overload import percentiles
from benchmarks.report import publish, rounded
from benchmarks.sampling import Sample, Sampler, growth_by_line, growth_by_tenths
from benchmarks.server import Server, gallery, running
from benchmarks.soak_mix import Mix, Step

CLIENTS: Final = 8
REFERENCES: Final = 20
SHARE: Final = 0.5
"""Of the capacity that is measured first."""
WARM_UP_MINUTES: Final = 10
GROWTH_LIMIT: Final = 0.05
REFUSED: Final = frozenset({"overloaded", "rate_limited"})


@dataclass
class Tally:
    """What came back; safe to use from many threads."""

    answers: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def add(self, step: Step, answer: Answer | None, spent: float) -> None:
        """Count an answer; None if the connection broke."""
        with self.lock:
            self.answers[step.name] += 1
            if answer is not None and step.right(answer):
                if step.name == "verify right":
                    self.milliseconds.append(spent * 1000)
            elif answer is not None and answer.code in REFUSED:
                self.refused += 1
            else:
                got = "a broken connection" if answer is None else f"{answer.status} {answer.code}"
                self.wrong[f"{step.name}: {got}"] += 1


def main() -> None:
    options = _arguments()
    seconds = options.minutes * 60
    warm_up = min(WARM_UP_MINUTES * 60, seconds / 3)
    with gallery(REFERENCES) as folder, running(folder) as server:
        verify_many(server.port, clients=8, requests=80)
        rate = SHARE * verify_many(server.port, clients=8, requests=200).per_second
        sampler, tally = Sampler(server.process.pid, folder), Tally()
        mix = Mix(folder / "verification_images", options.seed)
        with sampler.every(min(10, seconds / 60)):
            run(server, mix, tally, rate=rate, seconds=seconds)
        references = server.get("/readyz")["references"]
        model = server.get("/version")["model"]["version"]
        exit_code = server.stop()
    figures = {
        "minutes": rounded(options.minutes),
        "requests_per_second": rounded(rate),
        "requests": sum(tally.answers.values()),
        "refused": tally.refused,
        "wrong": dict(tally.wrong),
        "kinds": dict(sorted(tally.answers.items())),
        "references_at_end": references,
        **percentiles("verify", tally.milliseconds),
        **_course(sampler, warm_up),
        "exit_code": exit_code,
    }
    problems = _problems(figures)
    publish("soak", {**figures, "problems": problems}, model=model, as_json=options.json)
    sys.exit(bool(problems))


def run(server: Server, mix: Mix, tally: Tally, *, rate: float, seconds: float) -> None:
    """Send the steps of the mix at a fixed rate, and wait for the last answer."""
    steps: SimpleQueue[Step | None] = SimpleQueue()
    clients = [Thread(target=_client, args=(server.port, steps, tally)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    started, number = perf_counter(), 0
    source = mix.steps()
    while perf_counter() - started < seconds and server.process.poll() is None:
        sleep(max(0.0, started + number / rate - perf_counter()))
        # Where the service falls behind, the load waits: this is no test of overload.
        while steps.qsize() >= CLIENTS:
            sleep(0.01)
        steps.put(next(source))
        number += 1
    for _ in clients:
        steps.put(None)
    for client in clients:
        client.join()


def _client(port: int, steps: "SimpleQueue[Step | None]", tally: Tally) -> None:
    caller = Caller(port)
    while (step := steps.get()) is not None:
        started = perf_counter()
        try:
            answer = step.send(caller)
        except BROKEN:
            tally.add(step, None, perf_counter() - started)
        else:
            tally.add(step, answer, perf_counter() - started)
    caller.close()


def _course(sampler: Sampler, warm_up: float) -> dict[str, Any]:
    """First, last and most of each thing that is sampled, after the warm-up."""
    settled = sampler.since(warm_up)
    figures: dict[str, Any] = {"warm_up_minutes": rounded(warm_up / 60), "samples": len(settled)}
    for name in ("rss_mib", "descriptors", "threads", "database"):
        values = [getattr(sample, name) for sample in settled]
        figures[name] = tuple(rounded(v) for v in (values[0], values[-1], max(values)))
    figures["rss_growth_tenths"] = round(growth_by_tenths(settled, _rss), 4)
    figures["rss_growth_line"] = round(growth_by_line(settled, _rss), 4)
    return figures


def _problems(figures: dict[str, Any]) -> list[str]:
    problems = [f"{count} x {what}" for what, count in figures["wrong"].items()]
    if max(figures["rss_growth_tenths"], figures["rss_growth_line"]) >= GROWTH_LIMIT:
        problems.append("memory grew")
    first, _, most = figures["descriptors"]
    if most > first + CLIENTS + 16:
        problems.append("file descriptors grew")
    # The server hands the signal on once it has ended in good order.
    if figures["exit_code"] not in {0, -signal.SIGTERM}:
        problems.append("the server did not end well")
    return problems


def _rss(sample: Sample) -> float:
    return sample.rss_mib


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="length of the load")
    parser.add_argument("--seed", type=int, default=1, help="of the succession of calls")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args()


if __name__ == "__main__":
    main()
