"""Limits come before parsing."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.runtime import Runtime
from app.settings import Settings
from tests.api.gated import GatedPipeline, wait_until
from tests.api.service import Service
from tests.api.test_errors import check_problem
from tests.dummy_pipeline import photo

OVER_ONE_PHOTO = 200_000 + 64 * 1024 + 1


async def _form(size: int) -> AsyncIterator[bytes]:
    yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="p.jpg"\r\n\r\n'
    for _ in range(size // 10_000 + 1):
        yield b"x" * 10_000


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/verify", OVER_ONE_PHOTO),
        ("/detect", OVER_ONE_PHOTO),
        ("/compare", 2 * OVER_ONE_PHOTO),
        ("/enroll", 400_001),
        ("/no-such-path", OVER_ONE_PHOTO),
    ],
)
def test_a_stated_length_over_the_limit_is_refused_unread(
    service: Service, path: str, size: int
) -> None:
    response = service.request("POST", path, content=b"x" * size)

    assert check_problem(response, "image_too_large")["max_bytes"] < size


def test_a_body_of_no_stated_length_is_counted(service: Service) -> None:
    response = service.request(
        "POST",
        "/verify",
        content=_form(OVER_ONE_PHOTO),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )

    check_problem(response, "image_too_large")


def test_two_photos_fit_into_a_comparison(service: Service) -> None:
    response = service.compare(b"x" * 190_000, b"x" * 190_000)

    # The stand-in for the pipeline takes no photo of that size, but the body came through.
    check_problem(response, "image_too_large")
    assert response.json()["max_bytes"] == 100_000


def test_too_many_files_are_refused(service: Service) -> None:
    accepted = service.enroll(*(photo("alice", i) for i in range(5)))
    refused = service.enroll(*(photo("alice", i) for i in range(5, 11)))

    assert accepted.json()["references"] == 5
    assert "5" in check_problem(refused, "invalid_request")["detail"]
    assert service.metric("facetwin_references") == 5


def test_too_many_or_too_long_fields_are_refused(service: Service) -> None:
    many = service.verify(photo("alice"), **{f"field{i}": "x" for i in range(40)})
    long = service.verify(photo("alice"), subject="x" * 10_000)

    check_problem(many, "invalid_request")
    check_problem(long, "invalid_request")


def test_all_bodies_together_are_bounded(
    settings: Settings, pipeline: GatedPipeline, gated: Callable[[Settings], Runtime]
) -> None:
    settings = settings.model_copy(update={"max_pending_bytes": 300_000})
    with Service(settings, gated) as service, ThreadPoolExecutor(2) as clients:
        service.enroll(photo("alice"))
        pipeline.gate.clear()
        waiting = [clients.submit(service.verify, b"x" * 120_000) for _ in range(2)]
        wait_until(lambda: service.state["pool"].in_flight == 2)

        refused = service.verify(b"x" * 120_000)
        pipeline.gate.set()

        assert check_problem(refused, "overloaded")
        assert refused.headers["Retry-After"] == "1"
        assert [each.result().json()["code"] for each in waiting] == ["image_too_large"] * 2
        assert service.verify(b"x" * 120_000).json()["code"] == "image_too_large"
