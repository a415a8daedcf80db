"""The check that no answer is of two models would notice one."""

from benchmarks.steady_client import SteadyClient, Verified, latency


def client(*answers: Verified) -> SteadyClient:
    steady = SteadyClient(0)
    steady.answers.extend(answers)
    return steady


def answered(version: str, fingerprint: str, score: float, second: float = 0.0) -> Verified:
    return Verified(second, 10.0, "", version, fingerprint, score)


def test_answers_of_one_model_each_are_not_mixed() -> None:
    steady = client(
        answered("one", "f1", 0.81), answered("two", "f2", 0.8), answered("one", "f1", 0.81)
    )
    assert steady.mixed() == []
    assert steady.failed() == []


def test_another_fingerprint_or_score_is_noticed() -> None:
    steady = client(
        answered("one", "f1", 0.81), answered("one", "f2", 0.81), answered("one", "f1", 0.1)
    )
    assert steady.mixed() == ["one: two fingerprints", "one: 0.1 instead of 0.81"]


def test_failures_are_told_and_take_no_part() -> None:
    steady = client(answered("one", "f1", 0.81), Verified(1.0, 5.0, "503 overloaded"))
    assert steady.failed() == ["503 overloaded"]
    assert steady.mixed() == []


def test_latency_of_a_span() -> None:
    steady = client(*(answered("one", "f1", 0.8, second) for second in range(10)))
    assert latency(steady.between(2, 5)) == {
        "requests": 3,
        "p50_ms": 10.0,
        "p95_ms": 10.0,
        "max_ms": 10.0,
    }
    assert latency([]) == {"requests": 0}
