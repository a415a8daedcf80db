"""Many requests at once: the same answers, and a quick refusal when there are too many."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from app.runtime import Runtime
from app.settings import Settings
from tests.api.gated import GatedPipeline, wait_until
from tests.api.service import Service
from tests.dummy_pipeline import photo

PEOPLE = ("alice", "bob", "carol")


def _essence(answer: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in answer.items() if k not in {"timing_ms", "request_id"}}


def test_parallel_requests_answer_as_one_by_one(settings: Settings) -> None:
    with Service(settings.model_copy(update={"queue_size": 1000})) as service:
        for person in PEOPLE:
            service.enroll(photo(person, 1), photo(person, 2), subject=person)

        def verify(i: int) -> dict[str, Any]:
            probe, subject = PEOPLE[i % 3], PEOPLE[i // 3 % 3]
            return _essence(service.verify(photo(probe, i), subject=subject).json())

        one_by_one = [verify(i) for i in range(120)]
        with ThreadPoolExecutor(8) as clients:
            parallel = list(clients.map(verify, range(120)))

    assert parallel == one_by_one
    assert {answer["decision"] for answer in parallel} == {"match", "no_match"}


def test_a_full_pool_refuses_at_once_and_recovers(
    settings: Settings, pipeline: GatedPipeline, gated: Callable[[Settings], Runtime]
) -> None:
    settings = settings.model_copy(update={"inference_threads": 1, "queue_size": 1})
    with Service(settings, gated) as service, ThreadPoolExecutor(2) as clients:
        service.enroll(photo("alice"))
        pool = service.state["pool"]
        pipeline.gate.clear()
        waiting = [clients.submit(service.verify, photo("alice", i)) for i in range(2)]
        wait_until(lambda: pool.in_flight == 2)

        assert service.metric("facetwin_inference_in_flight") == 2
        assert service.metric("facetwin_inference_queued") == 1
        refused = service.verify(photo("alice"))
        assert service.get("/healthz").status_code == 200

        assert refused.status_code == 503
        assert refused.json()["code"] == "overloaded"
        assert refused.headers["Retry-After"] == "1"
        pipeline.gate.set()
        assert [each.result().status_code for each in waiting] == [200, 200]
        assert service.verify(photo("alice")).status_code == 200
        assert pool.in_flight == 0
