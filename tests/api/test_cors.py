"""Pages of other origins: nobody's unless configured, then those and no others."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from app.settings import Settings
from tests.api.service import Service
from tests.dummy_pipeline import photo

ORIGIN = "https://app.example"
KEY = "a-key-for-the-page"
ALLOWED = "Access-Control-Allow-Origin"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "x-api-key",
}


@pytest.fixture
def open_to_a_page(settings: Settings) -> Iterator[Service]:
    update = {"api_keys": (SecretStr(KEY),), "cors_origins": (ORIGIN,)}
    with Service(settings.model_copy(update=update)) as service:
        yield service


def test_nobody_by_default(service: Service) -> None:
    preflight = service.request("OPTIONS", "/verify", headers=PREFLIGHT)
    response = service.get("/version", headers={"Origin": ORIGIN})

    assert preflight.status_code == 403
    assert not [name for name in preflight.headers if name.startswith("access-control")]
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("header", ["X-API-Key", "Authorization", "X-Request-ID", "Content-Type"])
def test_a_preflight_needs_no_key(open_to_a_page: Service, header: str) -> None:
    headers = {**PREFLIGHT, "Access-Control-Request-Headers": header}
    response = open_to_a_page.request("OPTIONS", "/verify", headers=headers)

    assert response.status_code == 200
    assert response.headers[ALLOWED] == ORIGIN
    assert "Access-Control-Allow-Credentials" not in response.headers


def test_a_preflight_of_another_page_is_refused(open_to_a_page: Service) -> None:
    headers = {**PREFLIGHT, "Origin": "https://evil.example"}
    response = open_to_a_page.request("OPTIONS", "/verify", headers=headers)

    assert response.status_code == 400
    assert ALLOWED not in response.headers


def test_answers_and_refusals_can_be_read_by_the_page(open_to_a_page: Service) -> None:
    origin = {"Origin": ORIGIN}
    responses = {
        401: open_to_a_page.get("/version", headers=origin),
        200: open_to_a_page.get("/version", headers={**origin, "X-API-Key": KEY}),
        404: open_to_a_page.get("/nowhere", headers={**origin, "X-API-Key": KEY}),
    }

    for status, response in responses.items():
        assert response.status_code == status
        assert response.headers[ALLOWED] == ORIGIN
        assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]


def test_a_page_can_read_that_it_calls_too_often(settings: Settings) -> None:
    update = {"rate_limit_per_address": 1, "cors_origins": (ORIGIN,)}
    with Service(settings.model_copy(update=update)) as service:
        service.get("/version")
        response = service.get("/version", headers={"Origin": ORIGIN})

    assert response.status_code == 429
    assert response.headers[ALLOWED] == ORIGIN


def test_other_pages_get_no_permission(open_to_a_page: Service) -> None:
    headers = {"Origin": "https://evil.example", "X-API-Key": KEY}

    assert ALLOWED not in open_to_a_page.get("/version", headers=headers).headers


def test_without_keys_the_configured_page_may_send_forms(settings: Settings) -> None:
    with Service(settings.model_copy(update={"cors_origins": (ORIGIN,)})) as service:
        files = {"files": ("a.jpg", photo("alice"))}
        statuses = [
            service.request("POST", "/enroll", files=files, headers={"Origin": origin}).status_code
            for origin in (ORIGIN, "https://evil.example")
        ]

    assert statuses == [201, 403]
