"""Forwarded headers are believed from configured proxies, and change nothing from anyone else."""

from typing import Any

import pytest
from pydantic import SecretStr

from app.settings import Settings
from tests.api.service import Service
from tests.api.test_errors import check_problem
from tests.dummy_pipeline import photo

KEY = {"X-API-Key": "a-key-for-proxies"}


def _service(settings: Settings, **update: Any) -> Service:
    keyed = {"api_keys": (SecretStr(KEY["X-API-Key"]),), "rate_limit_per_address": 12}
    return Service(settings.model_copy(update={**keyed, **update}))


def _status(service: Service, peer: str, forwarded: str) -> int:
    service.client_address = peer
    headers = {**KEY, "X-Forwarded-For": forwarded}
    return service.get("/version", headers=headers).status_code


def test_a_spoofed_address_does_not_help_over_the_limit(settings: Settings) -> None:
    with _service(settings) as service:
        statuses = [_status(service, "192.0.2.1", f"198.51.100.{i}") for i in range(3)]

    assert statuses == [200, 200, 429]


def test_behind_a_proxy_each_client_has_a_limit_of_its_own(settings: Settings) -> None:
    with _service(settings, trusted_proxies=("10.0.0.0/8",)) as service:
        statuses = [_status(service, "10.1.2.3", f"198.51.100.{i}") for i in range(3)]
        same = [_status(service, "10.1.2.3", "198.51.100.9") for _ in range(3)]

    assert statuses == [200, 200, 200]
    assert same == [200, 200, 429]


def test_a_network_may_be_written_with_the_address_of_a_host(settings: Settings) -> None:
    with _service(settings, trusted_proxies=("10.1.2.3/8",)) as service:
        assert [_status(service, "10.9.9.9", f"198.51.100.{i}") for i in range(3)] == [200] * 3


def test_what_the_client_itself_put_in_front_is_not_believed(settings: Settings) -> None:
    with _service(settings, trusted_proxies=("10.1.2.3",)) as service:
        chains = [f"203.0.113.{i}, 198.51.100.1" for i in range(3)]
        statuses = [_status(service, "10.1.2.3", chain) for chain in chains]
        elsewhere = [_status(service, "192.0.2.1", f"198.51.100.{i}") for i in range(3)]

    assert statuses == [200, 200, 429]
    assert elsewhere == [200, 200, 429]


@pytest.mark.parametrize(("peer", "told"), [("10.1.2.3", True), ("192.0.2.1", False)])
def test_the_scheme_is_believed_from_a_proxy_only(
    settings: Settings, peer: str, told: bool
) -> None:
    with _service(settings, trusted_proxies=("10.1.2.3",)) as service:
        service.client_address = peer
        response = service.get("/healthz", headers={"X-Forwarded-Proto": "https"})

    assert ("Strict-Transport-Security" in response.headers) is told


FORWARDING = [
    {"X-Forwarded-For": "198.51.100.1"},
    {"X-Forwarded-For": "unknown"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-For": ""},
    {"X-Forwarded-Host": "localhost"},
    {"X-Forwarded-Proto": "https"},
    {"X-Real-IP": "127.0.0.1"},
    {"Forwarded": "for=127.0.0.1"},
    {"Via": "1.1 proxy"},
]


@pytest.mark.parametrize("trusted", [(), ("127.0.0.1",), ("10.0.0.1",)])
@pytest.mark.parametrize("headers", FORWARDING, ids=str)
def test_without_keys_a_forwarded_request_is_refused(
    settings: Settings, headers: dict[str, str], trusted: tuple[str, ...]
) -> None:
    """nginx in front of 127.0.0.1:8000 sends the name of this machine as Host."""
    with Service(settings.model_copy(update={"trusted_proxies": trusted})) as service:
        body = check_problem(service.get("/subjects", headers=headers), "forbidden")
        assert service.get("/subjects").status_code == 200

    assert "FACETWIN_API_KEYS" in body["detail"]


@pytest.mark.parametrize("peer", ["", "unknown", "192.0.2.1"])
def test_without_keys_a_peer_that_is_not_surely_here_is_elsewhere(
    service: Service, peer: str
) -> None:
    service.client_address = peer
    check_problem(service.get("/subjects"), "forbidden")


def test_by_consent_a_forwarded_request_is_a_strangers(settings: Settings) -> None:
    update = {"trusted_proxies": ("127.0.0.1",), "allow_anonymous": True}
    with Service(settings.model_copy(update=update)) as service:
        service.enroll(photo("alice"))
        response = service.request(
            "POST",
            "/verify",
            files={"file": ("p.jpg", photo("alice", 2))},
            data={"detail": "true"},
            headers={"X-Forwarded-For": "unknown"},
        )

    check_problem(response, "forbidden")
