"""The contract of problem documents, held against every way to fail."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import httpx
import pytest

import app.domain.errors as domain_errors
from app.api.errors import PROBLEMS
from app.domain.errors import BundleError, FacetwinError, NoReferencesError, StorageError
from app.runtime import Runtime, SelfTest
from app.services.verification import Verification
from app.settings import Settings
from tests.api.service import Service, open_dummy_runtime
from tests.dummy_pipeline import photo

SECRET = "a sentence that must not leave the process"


class _Failing:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def verify(self, *_: object) -> None:
        raise self._error


def _open_failing(error: Exception) -> Callable[[Settings], Runtime]:
    def open_runtime(settings: Settings) -> Runtime:
        failing = cast("Verification", _Failing(error))
        return replace(open_dummy_runtime(settings), verification=failing)

    return open_runtime


def check_problem(response: httpx.Response, code: str) -> dict[str, Any]:
    """What every problem has in common."""
    status, title = PROBLEMS[code]
    body: dict[str, Any] = response.json()
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert body["type"] == f"urn:facetwin:problem:{code}"
    assert (body["title"], body["status"], body["code"]) == (title, status, code)
    assert body["detail"].endswith((".", "photo.jpg"))
    assert body["instance"] == response.request.url.path
    assert body["request_id"] == response.headers["X-Request-ID"]
    assert "Traceback" not in response.text
    return body


CALLS: dict[str, Callable[[Service], httpx.Response]] = {
    "invalid_request": lambda s: s.verify(photo("alice"), max_fmr="2"),
    "invalid_image": lambda s: s.verify(b"no image"),
    "image_too_large": lambda s: s.verify(b"x" * 150_000),
    "unsupported_media_type": lambda s: s.verify(b"GIF89a"),
    "no_face": lambda s: s.verify(photo("alice", faces=0)),
    "multiple_faces": lambda s: s.verify(photo("alice", faces=2), face_policy="single"),
    "unsupported_fmr": lambda s: s.verify(photo("alice"), max_fmr="1e-8"),
    "enrollment_rejected": lambda s: s.enroll(b"no image"),
    "subject_not_found": lambda s: s.verify(photo("alice"), subject="nobody"),
    "image_not_found": lambda s: s.get("/subjects/default/images/none"),
    "not_found": lambda s: s.get("/verfy"),
    "method_not_allowed": lambda s: s.get("/verify"),
}


@pytest.mark.parametrize("code", CALLS)
def test_problem_of_a_call(service: Service, code: str) -> None:
    service.enroll(photo("alice", "enrolled"))

    check_problem(CALLS[code](service), code)


@pytest.mark.parametrize("error", [StorageError, NoReferencesError, BundleError])
def test_problem_of_a_service(settings: Settings, error: type[FacetwinError]) -> None:
    with Service(settings, _open_failing(error("Do this.", hint=3))) as service:
        body = check_problem(service.verify(photo("alice")), error.code)

    assert (body["detail"], body["hint"]) == ("Do this.", 3)


def test_every_domain_error_has_a_status() -> None:
    errors = [each for each in vars(domain_errors).values() if isinstance(each, type)]

    codes = {each.code for each in errors if issubclass(each, FacetwinError)}
    # A job ends with this code; no request is ever answered by it.
    assert codes - {domain_errors.TrainingLimitError.code} <= set(PROBLEMS)


def test_extra_members_never_replace_standard_ones(settings: Settings) -> None:
    error = StorageError("Do this.", status=200, code="fine", request_id="x")
    with Service(settings, _open_failing(error)) as service:
        check_problem(service.verify(photo("alice")), "storage_unavailable")


def test_an_unknown_code_is_an_internal_error(settings: Settings) -> None:
    class _NewError(FacetwinError):
        code = "brand_new"

    with Service(settings, _open_failing(_NewError(SECRET))) as service:
        response = service.verify(photo("alice"))

    check_problem(response, "internal_error")
    assert SECRET not in response.text


def test_a_traceback_goes_to_the_log_only(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Service(settings, _open_failing(RuntimeError(SECRET))) as service,
        caplog.at_level(logging.ERROR),
    ):
        response = service.verify(photo("alice"))

    check_problem(response, "internal_error")
    assert SECRET not in response.text
    assert any(record.exc_info or SECRET in record.getMessage() for record in caplog.records)


def test_a_validation_error_does_not_echo_its_input(service: Service) -> None:
    response = service.request("POST", "/verify", data={"file": SECRET}, files={"x": b""})

    body = check_problem(response, "invalid_request")
    assert SECRET not in response.text
    assert {error["field"] for error in body["errors"]} == {"file", "x"}


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"Content-Type": "application/json"}, b"{}"),
        ({"Content-Type": "image/jpeg"}, b"\xff\xd8"),
        ({}, b""),
    ],
)
def test_what_is_not_a_form_is_told_so(
    service: Service, headers: dict[str, str], content: bytes
) -> None:
    response = service.request("POST", "/verify", headers=headers, content=content)

    body = check_problem(response, "unsupported_media_type")
    assert "multipart/form-data" in body["detail"]


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=abc"]
)
def test_a_broken_form_is_told_so(service: Service, content_type: str) -> None:
    response = service.request(
        "POST", "/verify", headers={"Content-Type": content_type}, content=b"--x\r\nbroken"
    )

    check_problem(response, "invalid_request")


def test_a_probe_sent_twice_is_refused(service: Service) -> None:
    files = [("file", ("a.jpg", photo("alice"))), ("file", ("b.jpg", photo("bob")))]

    body = check_problem(service.request("POST", "/verify", files=files), "invalid_request")
    assert body["errors"][0]["field"] == "file"


def test_a_failed_self_test_is_not_ready(settings: Settings) -> None:
    def open_broken(settings: Settings) -> Runtime:
        return replace(open_dummy_runtime(settings), self_test=SelfTest(False, "cosine 0.2"))

    with Service(settings, open_broken) as service:
        body = check_problem(service.get("/readyz"), "not_ready")
        assert service.get("/healthz").status_code == 200

    assert body["self_test"] == {"ok": False, "detail": "cosine 0.2"}
    json.dumps(body, allow_nan=False)


@pytest.mark.parametrize("path", ["/verify", "/enroll", "/compare", "/detect"])
def test_a_model_that_failed_its_self_test_neither_compares_nor_stores(
    settings: Settings, path: str
) -> None:
    def failing(settings: Settings) -> Runtime:
        return replace(open_dummy_runtime(settings), self_test=SelfTest(False, "cosine 0.2"))

    fields = {"/enroll": ("files",), "/compare": ("source", "target")}.get(path, ("file",))
    files = [(field, ("a.jpg", photo("alice"))) for field in fields]
    with Service(settings, failing) as service:
        response = service.request("POST", path, files=files)
        assert response.status_code == 503
        assert response.json()["code"] == "not_ready"
        assert service.request("GET", "/subjects").json() == {"subjects": [], "skipped": []}


@pytest.mark.parametrize("path", ["/verify", "/enroll", "/compare", "/detect"])
def test_options_in_the_url_are_refused_instead_of_ignored(service: Service, path: str) -> None:
    response = service.request("POST", f"{path}?subject=bob", files={"file": photo("alice")})
    body = check_problem(response, "invalid_request")
    assert "form field" in body["detail"]
