"""Every call of the OpenAPI document, with made-up input: answers are what the document says."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from pydantic import SecretStr
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.result import Ok

from app.settings import Settings
from tests.api.service import Service
from tests.dummy_pipeline import photo

Case = schemathesis.Case[Any]

EXAMPLES = 25
"""For each call, with keys and without."""

KEYS = {role: f"{role}-key-for-a-test-of-the-schema" for role in ("verify", "enroll", "admin")}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
PHOTOS = [
    photo("alice"),
    photo("alice", 1),
    photo("bob", quality=0.1),
    photo("alice", faces=0),
    photo("alice", faces=2),
    b"GIF89a",
    b"x" * 150_000,
    b"",
]


# A photo that was not sent before, as often as all others together.
photos = st.integers(2, 10_000).map(lambda variant: photo("alice", variant)) | st.sampled_from(
    PHOTOS
)


@pytest.fixture(params=["without keys", "with keys"])
def keys(request: pytest.FixtureRequest) -> dict[str, str]:
    return KEYS if request.param == "with keys" else {}


@pytest.fixture
def conforming(
    settings: Settings, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    configured = tuple(SecretStr(f"{role}:{key}") for role, key in keys.items())
    unlimited = {"rate_limit_per_key": 0, "rate_limit_per_address": 0, "rate_limit_failures": 0}
    update = {"api_keys": configured, "log_level": "error", "sync_interval": 0, **unlimited}
    with Service(settings.model_copy(update=update)) as service:
        # Nothing runs the jobs here, wherever these tests run.
        monkeypatch.setattr(service.state["jobs"], "_installed", lambda: True)
        yield service


def test_answers_are_as_documented(conforming: Service, keys: dict[str, str]) -> None:
    document = conforming.get("/openapi.json", headers=_with(keys.get("admin"))).json()
    schema = schemathesis.openapi.from_dict(document)
    findings: dict[str, str] = {}
    statuses: set[int] = set()
    count = 0
    for each in schema.get_all_operations():
        assert isinstance(each, Ok)
        operation = each.ok()
        count += 1

        @effort(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), draw=st.data())
        def conforms(case: Case, draw: st.DataObject) -> None:
            response = _send(conforming, case, draw, keys)
            statuses.add(response.status_code)
            try:
                case.validate_response(response, checks=list(CHECKS))
            except (AssertionError, BaseExceptionGroup) as failure:
                where = f"{case.method} {case.path} -> {response.status_code}"
                findings.setdefault(where, f"{failure}\n{response.text[:500]}")

        conforms()

    assert not findings, "\n\n".join(f"{where}\n{what}" for where, what in findings.items())
    assert count >= len(document["paths"])
    # The made-up input reached good answers and refusals alike.
    assert statuses >= {200, 201, 202, 422} | ({401, 403} if keys else set())


def _send(
    service: Service, case: Case, draw: st.DataObject, keys: dict[str, str]
) -> httpx.Response:
    """Send a made-up request; often as one who is known, and about a person who is enrolled."""
    likely = st.sampled_from([True, True, False])
    if draw.draw(likely, "about a known person"):
        _point_to_alice(service, case, keys)
    options = case.as_transport_kwargs(base_url="http://127.0.0.1")
    if options.get("files"):
        options["files"] = [
            _part(name, part, draw, known=draw.draw(likely, "a photo of the stand-in"))
            for name, part in options["files"]
        ]
    if isinstance(options.get("data"), bytes):
        options["content"] = options.pop("data")
    headers = {name: value for name, value in options["headers"].items() if _is_sendable(value)}
    key = draw.draw(st.sampled_from([*keys.values(), *keys.values(), None]), "key")
    response = service.request(
        options["method"],
        options["url"],
        params=options.get("params"),
        headers={**headers, **_with(key)},
        **{
            name: options[name]
            for name in ("files", "data", "json", "content")
            if options.get(name)
        },
    )
    response.request.read()  # a finding is told with the request that led to it
    return response


def _point_to_alice(service: Service, case: Case, keys: dict[str, str]) -> None:
    admin = {"headers": _with(keys.get("admin"))}
    files = [("files", ("0.jpg", photo("alice")))]
    service.request("POST", "/enroll", files=files, data={"subject": "alice"}, **admin)
    if "subject" in case.path_parameters:
        case.path_parameters["subject"] = "alice"
    if case.path == "/data/{role}/{name}":
        uploaded = {"files": files, "data": {"subject": "alice"}}
        service.request("POST", "/data/anchor", **uploaded, **admin)
        case.path_parameters.update(role="anchor", name="alice")
    if "job_id" in case.path_parameters:
        # One that has ended: who listens to another waits.
        job_id = service.request("POST", "/train", **admin).json().get("job_id", "none")
        service.request("DELETE", f"/train/{job_id}", **admin)
        case.path_parameters["job_id"] = job_id
    if "image_id" in case.path_parameters:
        images = service.get("/subjects/alice", **admin).json()["images"]
        case.path_parameters["image_id"] = images[0]["image_id"]


def _part(name: str, part: Any, draw: st.DataObject, *, known: bool) -> tuple[str, Any]:
    """A part of a form; a photo that the stand-in for the pipeline knows instead of noise."""
    filename, content = part
    if not known:
        return name, (filename, content)
    if filename is not None:
        return name, (filename, draw.draw(photos, "photo"))
    return name, (None, "alice" if name in {"subject", "person"} else content)


def _with(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def _is_sendable(value: str) -> bool:
    """Whether HTTP has a way to send this header."""
    return value.isascii() and value.isprintable()
