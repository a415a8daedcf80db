import pytest
from pydantic import SecretStr

from app.settings import Settings
from tests.api.service import Service
from tests.api.test_errors import check_problem
from tests.dummy_pipeline import photo

KEYS = {"api_keys": (SecretStr("first-key-of-two"), SecretStr("second-key-of-two"))}


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer first-key-of-two"},
        {"Authorization": "bearer second-key-of-two"},
        {"X-API-Key": "second-key-of-two"},
    ],
)
def test_a_configured_key_opens(settings: Settings, headers: dict[str, str]) -> None:
    with Service(settings.model_copy(update=KEYS)) as service:
        assert service.get("/subjects", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": "First-key-of-two"},
        {"Authorization": "first-key-of-two"},
        {"Authorization": "Basic first-key-of-two"},
        {"Authorization": "Bearer first-key-of-two-s"},
    ],
)
@pytest.mark.parametrize("path", ["/subjects", "/metrics", "/docs", "/openapi.json", "/nowhere"])
def test_nothing_else_does(settings: Settings, path: str, headers: dict[str, str]) -> None:
    with Service(settings.model_copy(update=KEYS)) as service:
        response = service.get(path, headers=headers)

    check_problem(response, "unauthorized")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_probes_of_orchestrators_need_no_key(settings: Settings) -> None:
    with Service(settings.model_copy(update=KEYS)) as service:
        assert service.get("/healthz").status_code == 200
        assert service.get("/readyz").status_code == 200


def test_both_headers_may_come_and_the_bearer_counts(settings: Settings) -> None:
    with Service(settings.model_copy(update=KEYS)) as service:
        headers = {"Authorization": "Bearer wrong", "X-API-Key": "first-key-of-two"}
        check_problem(service.get("/subjects", headers=headers), "unauthorized")
        headers = {"Authorization": "Basic wrong", "X-API-Key": "first-key-of-two"}
        assert service.get("/subjects", headers=headers).status_code == 200


def test_a_refusal_does_not_repeat_the_key(settings: Settings) -> None:
    with Service(settings.model_copy(update=KEYS)) as service:
        response = service.get("/subjects", headers={"X-API-Key": "hush-hush"})

    assert "hush" not in response.text
    assert "hush" not in str(response.headers)


def test_detail_needs_a_key_where_strangers_may_call(settings: Settings) -> None:
    open_door = settings.model_copy(update={"host": "0.0.0.0", "allow_anonymous": True})
    with Service(open_door) as service:
        service.enroll(photo("alice"))
        check_problem(service.verify(photo("alice", 2), detail="true"), "forbidden")
        assert service.verify(photo("alice", 2)).status_code == 200


def test_a_key_gives_detail(settings: Settings) -> None:
    keyed = settings.model_copy(update={"host": "0.0.0.0", **KEYS})
    headers = {"X-API-Key": "first-key-of-two"}
    with Service(keyed) as service:
        service.request(
            "POST", "/enroll", files={"files": ("a.jpg", photo("alice"))}, headers=headers
        )
        response = service.request(
            "POST",
            "/verify",
            files={"file": ("p.jpg", photo("alice", 2))},
            data={"detail": "true"},
            headers=headers,
        )
    assert len(response.json()["references"]) == 1


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://service:81",
        "http://[",
        "http://127.0.0.1]",
        "http://",
        "://",
        "127.0.0.1",
        "http://[::1",
    ],
)
def test_pages_of_other_sites_may_not_call_without_keys(service: Service, origin: str) -> None:
    headers = {"Origin": origin}
    response = service.request(
        "POST", "/enroll", files={"files": ("a.jpg", photo("eve"))}, headers=headers
    )

    check_problem(response, "forbidden")
    assert service.metric("facetwin_references") == 0
    assert service.get("/subjects", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8000", 200),
        ("127.0.0.1:8000", 200),
        ("127.5.0.1", 200),
        ("[::1]:8000", 200),
        ("evil.example", 403),
        ("evil.example:8000", 403),
        ("localhost.evil.example", 403),
        ("10.0.0.5", 403),
        ("", 403),
    ],
)
@pytest.mark.parametrize("path", ["/subjects", "/version"])
def test_without_keys_only_the_name_of_this_machine_is_answered(
    service: Service, host: str, status: int, path: str
) -> None:
    headers = {"Host": host, "Origin": f"http://{host}"}
    assert service.request("GET", path, headers=headers).status_code == status


def test_with_a_key_any_name_is_answered(settings: Settings) -> None:
    keyed = settings.model_copy(update={"api_keys": (SecretStr("key-that-is-right"),)})
    with Service(keyed) as service:
        headers = {"Host": "faces.example", "X-API-Key": "key-that-is-right"}
        assert service.request("GET", "/subjects", headers=headers).status_code == 200


def test_pages_of_the_service_may(service: Service) -> None:
    response = service.request(
        "POST",
        "/enroll",
        files={"files": ("a.jpg", photo("alice"))},
        headers={"Origin": "http://127.0.0.1"},
    )

    assert response.status_code == 201


@pytest.mark.parametrize(
    ("address", "status"),
    [("127.0.0.1", 200), ("[::1]", 200), ("10.0.0.5", 403), ("[2001:db8::1]", 403)],
)
def test_a_socket_bound_elsewhere_than_the_settings_say_is_noticed(
    service: Service, address: str, status: int
) -> None:
    assert service.get(f"http://{address}/subjects").status_code == status


def test_consent_covers_such_a_socket_but_not_scores(settings: Settings) -> None:
    with Service(settings.model_copy(update={"allow_anonymous": True})) as service:
        service.enroll(photo("alice"))
        assert service.get("http://10.0.0.5/subjects").status_code == 200
        files, data = {"file": ("p.jpg", photo("alice", 2))}, {"detail": "true"}
        there = service.request("POST", "http://10.0.0.5/verify", files=files, data=data)
        here = service.request("POST", "/verify", files=files, data=data)

    check_problem(there, "forbidden")
    assert here.status_code == 200


def test_settings_that_say_another_address_are_believed_over_the_socket(
    settings: Settings,
) -> None:
    with Service(settings.model_copy(update={"host": "0.0.0.0"})) as service:
        check_problem(service.get("/subjects"), "forbidden")


@pytest.mark.parametrize("host", ["[::1", "[", "]", "127.0.0.1]", "[v1.a]", "::1", "/", "@", "a:b"])
def test_a_host_that_is_none_is_refused(service: Service, host: str) -> None:
    headers = {"Host": host, "Origin": f"http://{host}"}
    check_problem(service.get("/subjects", headers=headers), "forbidden")
    check_problem(service.request("POST", "/verify", headers=headers), "forbidden")
