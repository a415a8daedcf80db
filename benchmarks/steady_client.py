"""A client that verifies without a pause while something else goes on, and checks every answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from time import perf_counter
from typing import Any, Final

from benchmarks.calls import BROKEN, FORM, Answer, Caller, form
from benchmarks.photos import probe
from benchmarks.report import rounded

SAME_SCORE: Final = 1e-4
"""Scores of one probe against one gallery under one model differ by no more."""


@dataclass(frozen=True)
class Verified:
    """An answer.

    Attributes:
        second: When it was asked for, of `perf_counter`.
        problem: Status and code, if it was not a match; empty if it was.
    """

    second: float
    milliseconds: float
    problem: str
    version: str = ""
    fingerprint: str = ""
    score: float = 0.0


class SteadyClient:
    """Verifies one probe over one kept connection, again and again."""

    def __init__(self, port: int) -> None:
        self._caller = Caller(port)
        self._body = form([("file", probe())])
        self.answers: list[Verified] = []

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Verify until the block ends."""
        ended = Event()

        def run() -> None:
            while not ended.is_set():
                self._verify()

        thread = Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self._caller.close()

    def between(self, first: float, last: float) -> list[Verified]:
        """Answers to what was asked in this span."""
        return [each for each in self.answers if first <= each.second < last]

    def mixed(self) -> list[str]:
        """Answers that two models must have had a part in: each tells why.

        Gallery and probe never change, so all answers of one version have one fingerprint and one
        score; embeddings of two fingerprints would score about as strangers do.
        """
        first: dict[str, Verified] = {}
        found = []
        for each in self.answers:
            if each.problem:
                continue
            known = first.setdefault(each.version, each)
            if each.fingerprint != known.fingerprint:
                found.append(f"{each.version}: two fingerprints")
            elif abs(each.score - known.score) > SAME_SCORE:
                found.append(f"{each.version}: {each.score} instead of {known.score}")
        return found

    def failed(self) -> list[str]:
        """Answers that were no match."""
        return [each.problem for each in self.answers if each.problem]

    def _verify(self) -> None:
        started = perf_counter()
        try:
            answer = self._caller.call("POST", "/verify", self._body, FORM)
        except BROKEN as error:
            self.answers.append(Verified(started, 0.0, f"broken: {type(error).__name__}"))
            return
        self.answers.append(_verified(answer, started))


def _verified(answer: Answer, started: float) -> Verified:
    spent = (perf_counter() - started) * 1000
    document = answer.document
    if answer.status != 200 or not document["verified"]:
        problem = f"{answer.status} {document.get('decision') or answer.code}"
        return Verified(started, spent, problem)
    model = document["model"]
    return Verified(started, spent, "", model["version"], model["fingerprint"], document["score"])


def latency(answers: list[Verified]) -> dict[str, Any]:
    """Number of answers, p50, p95 and the slowest in ms."""
    ordered = sorted(each.milliseconds for each in answers)
    if not ordered:
        return {"requests": 0}
    last = len(ordered) - 1
    return {
        "requests": len(ordered),
        "p50_ms": rounded(ordered[round(last * 0.5)]),
        "p95_ms": rounded(ordered[round(last * 0.95)]),
        "max_ms": rounded(ordered[-1]),
    }
