"""Every route with every role. A route that is not named here is the administrator's."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from pydantic import SecretStr
from starlette.routing import Route

from app.domain.access import Role
from app.main import create_app
from app.settings import Settings
from tests.api.service import Service
from tests.api.test_errors import check_problem
from tests.dummy_pipeline import photo

VERIFY = {("POST", "/verify"), ("POST", "/compare"), ("POST", "/detect")}
ENROLL = {("POST", "/enroll"), ("GET", "/subjects"), ("GET", "/subjects/{subject}")}
OPEN = {("GET", "/healthz"), ("GET", "/readyz")}
KEYS = {role: f"key-of-role-{role.value}" for role in Role}
ODD = [
    ("GET", "/verify"),
    ("PUT", "/verify"),
    ("POST", "/verify/"),
    ("POST", "//verify"),
    ("POST", "/VERIFY"),
    ("POST", "/verify/../subjects"),
    ("POST", "/subjects"),
    ("DELETE", "/subjects"),
    ("HEAD", "/subjects"),
    ("OPTIONS", "/verify"),
    ("GET", "/subjects/"),
    ("GET", "/subjects/alice/"),
    ("GET", "/subjects/alice/images"),
    ("GET", "/subjects/alice%2Fexport"),
    ("GET", "/nowhere"),
]


def _calls() -> list[tuple[str, str]]:
    calls: list[tuple[str, str]] = []
    pending: list[Any] = list(create_app(Settings()).router.routes)
    while pending:
        route = pending.pop()
        if isinstance(route, APIRoute | Route):
            calls += [(method, route.path) for method in sorted(route.methods or ())]
        else:
            pending += getattr(route, "original_router", route).routes  # an included router
    return calls


CALLS = _calls()


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    keys = tuple(SecretStr(f"{role.value}:{KEYS[role]}") for role in Role)
    settings = Settings(
        host="127.0.0.1",
        application_data_dir=tmp_path_factory.mktemp("roles"),
        api_keys=keys,
        log_format="json",
    )
    with Service(settings) as service:
        yield service


def _call(service: Service, method: str, path: str, role: Role | None) -> httpx.Response:
    headers = {"X-API-Key": KEYS[role]} if role else {}
    path = path.replace("{subject}", "alice").replace("{image_id}", "none")
    return service.request(method, path, headers=headers)


def test_the_walk_finds_the_routes() -> None:
    assert {*VERIFY, *ENROLL, *OPEN, ("GET", "/metrics"), ("GET", "/docs")} <= set(CALLS)
    assert len(CALLS) > 15


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("method", "path"), [*CALLS, *ODD])
def test_a_role_may_do_what_it_is_for_and_nothing_else(
    keyed: Service, method: str, path: str, role: Role
) -> None:
    response = _call(keyed, method, path, role)

    allowed = {
        Role.VERIFY: VERIFY | OPEN,
        Role.ENROLL: VERIFY | ENROLL | OPEN,
    }
    if role is Role.ADMIN or (method, path) in allowed[role]:
        assert response.status_code not in {401, 403}
    elif method == "HEAD":
        assert response.status_code == 403
    else:
        needed = "enroll" if (method, path) in ENROLL else "admin"
        body = check_problem(response, "forbidden")
        assert body["needed_role"] == needed
        assert f"role {needed}" in body["detail"]


@pytest.mark.parametrize(("method", "path"), [*CALLS, *ODD])
def test_without_a_key_only_probes_of_orchestrators_are_answered(
    settings: Settings, method: str, path: str
) -> None:
    keyed = settings.model_copy(update={"api_keys": (SecretStr(f"verify:{KEYS[Role.VERIFY]}"),)})
    with Service(keyed) as service:
        response = _call(service, method, path, None)

    assert response.status_code == (200 if (method, path) in OPEN else 401)


def test_it_is_decided_before_the_body_is_read(keyed: Service) -> None:
    read = 0

    async def body() -> object:
        nonlocal read
        for _ in range(10):
            read += 1
            yield b"x"

    response = keyed.request(
        "POST", "/enroll", content=body(), headers={"X-API-Key": KEYS[Role.VERIFY]}
    )

    check_problem(response, "forbidden")
    assert read == 0


@pytest.mark.parametrize(("role", "status"), [("verify", 403), ("enroll", 403), ("admin", 200)])
def test_only_an_administrator_sees_the_scores_of_references(
    keyed: Service, role: str, status: int
) -> None:
    keyed.request(
        "POST",
        "/enroll",
        files={"files": ("a.jpg", photo("alice"))},
        headers={"X-API-Key": KEYS[Role.ENROLL]},
    )
    response = keyed.request(
        "POST",
        "/verify",
        files={"file": ("p.jpg", photo("alice", 2))},
        data={"detail": "true"},
        headers={"X-API-Key": KEYS[Role(role)]},
    )

    assert response.status_code == status
    assert ("references" in response.json()) is (status == 200)
