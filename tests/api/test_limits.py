"""Limits come before parsing."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
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


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_fields", 3), ("max_field_bytes", 100), ("max_parts", 4), ("max_files_per_request", 2)],
)
def test_each_limit_of_a_form_is_a_setting(settings: Settings, name: str, value: int) -> None:
    forms: dict[str, list[tuple[str, bytes]]] = {
        "max_fields": [(f"field{i}", b"x") for i in range(4)],
        "max_field_bytes": [("subject", b"x" * 101)],
        "max_parts": [(f"field{i}", b"x") for i in range(5)],
        "max_files_per_request": [("files", photo("alice", i)) for i in range(3)],
    }
    with Service(settings.model_copy(update={name: value})) as service:
        response = _send(service, "/enroll", forms[name])

    detail = check_problem(response, "invalid_request")["detail"]
    assert f"FACETWIN_{name.upper()}" in detail
    assert str(value) in detail


def _part(field: str, value: bytes, headers: bytes = b"") -> bytes:
    filename = b'; filename="p.jpg"' if field == "files" else b""
    name = f'Content-Disposition: form-data; name="{field}"'.encode()
    return b"--b\r\n" + name + filename + b"\r\n" + headers + b"\r\n" + value + b"\r\n"


def _send(service: Service, path: str, fields: list[tuple[str, bytes]]) -> httpx.Response:
    return _send_raw(service, path, b"".join(_part(*each) for each in fields) + b"--b--\r\n")


def _send_raw(
    service: Service, path: str, body: bytes | AsyncIterator[bytes], boundary: str = "b"
) -> httpx.Response:
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return service.request("POST", path, content=body, headers=headers)


@pytest.mark.parametrize(("field", "read"), [("files", 6), ("field", 33)])
def test_a_form_of_many_parts_is_refused_while_it_comes_in(
    service: Service, field: str, read: int
) -> None:
    sent = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal sent
        for i in range(10_000):
            sent += 1
            yield _part(field if field == "files" else f"{field}{i}", b"x")

    check_problem(_send_raw(service, "/enroll", parts()), "invalid_request")
    assert sent == read


@pytest.mark.parametrize(
    "headers",
    [
        b"X-Long: " + b"x" * 5000 + b"\r\n",
        b"".join(b"X-%d: x\r\n" % i for i in range(20)),
    ],
)
def test_headers_of_parts_are_bounded(service: Service, headers: bytes) -> None:
    response = _send_raw(service, "/verify", _part("subject", b"alice", headers) + b"--b--\r\n")

    check_problem(response, "invalid_request")


def test_a_boundary_is_bounded(service: Service) -> None:
    boundary = "b" * 71
    body = _part("subject", b"alice").replace(b"--b", b"--" + boundary.encode())

    assert (
        "70"
        in check_problem(_send_raw(service, "/verify", body, boundary), "invalid_request")["detail"]
    )


def test_a_form_that_ends_early_is_refused(service: Service) -> None:
    response = _send_raw(service, "/enroll", _part("files", photo("alice")))

    assert "last boundary" in check_problem(response, "invalid_request")["detail"]
    assert service.metric("facetwin_references") == 0


@pytest.mark.parametrize("path", ["/enroll", "/verify", "/detect", "/compare"])
def test_a_body_for_a_full_pool_is_not_read(
    settings: Settings, pipeline: GatedPipeline, gated: Callable[[Settings], Runtime], path: str
) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(10):
            read += 1
            yield b"x"

    settings = settings.model_copy(update={"inference_threads": 1, "queue_size": 1})
    with Service(settings, gated) as service, ThreadPoolExecutor(2) as clients:
        service.enroll(photo("alice"))
        pipeline.gate.clear()
        waiting = [clients.submit(service.verify, photo("alice", i)) for i in range(2)]
        wait_until(lambda: service.state["pool"].in_flight == 2)
        refused = service.request("POST", path, content=body())
        pipeline.gate.set()

        assert [each.result().status_code for each in waiting] == [200, 200]
        assert service.verify(photo("alice", 3)).status_code == 200

    check_problem(refused, "overloaded")
    assert refused.headers["Retry-After"] == "1"
    assert read == 0


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
