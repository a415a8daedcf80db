import re

import pytest
from pydantic import SecretStr

from app.settings import Settings
from tests.api.service import Service
from tests.dummy_pipeline import photo

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("GET", "/subjects", 200),
        ("GET", "/metrics", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/", 307),
        ("GET", "/nowhere", 404),
        ("PUT", "/verify", 405),
        ("POST", "/verify", 415),
        ("POST", "/verify?a=b", 415),
    ],
)
def test_every_answer_has_them(service: Service, method: str, path: str, status: int) -> None:
    response = service.request(method, path)

    assert response.status_code == status
    assert {name: response.headers[name] for name in EVERYWHERE} == EVERYWHERE
    assert response.headers["Content-Security-Policy"] == (
        "default-src 'none'; frame-ancestors 'none'"
    )
    assert "Strict-Transport-Security" not in response.headers
    assert "Server" not in response.headers


def test_refusals_have_them_too(settings: Settings) -> None:
    keyed = settings.model_copy(update={"api_keys": (SecretStr("a-key-that-nobody-sends"),)})
    with Service(keyed) as service:
        unauthorized = service.get("/subjects")
        too_large = service.verify(b"x" * 300_000)

    for response in (unauthorized, too_large):
        assert {name: response.headers[name] for name in EVERYWHERE} == EVERYWHERE


def test_strict_transport_security_only_over_https(service: Service) -> None:
    response = service.get("https://127.0.0.1/healthz")

    assert response.headers["Strict-Transport-Security"].startswith("max-age=")


def test_a_photo_is_not_sniffed_or_cached(service: Service) -> None:
    image_id = service.enroll(photo("alice")).json()["enrolled"][0]["image_id"]
    response = service.get(f"/subjects/default/images/{image_id}/content")

    assert response.headers["Content-Type"] == "image/jpeg"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_viewers_may_load_what_they_name_and_nothing_else(service: Service, path: str) -> None:
    response = service.get(path)
    directives = dict(
        directive.strip().split(" ", 1)
        for directive in response.headers["Content-Security-Policy"].split(";")
    )

    assert directives["default-src"] == directives["frame-ancestors"] == "'none'"
    kinds = {
        "script-src": r'<script[^>]* src="(.*?)"',
        "style-src": r'rel="stylesheet".*?href="(.*?)"',
    }
    for directive, pattern in kinds.items():
        for address in re.findall(pattern, response.text) + re.findall(
            r'href="(.*?)" rel="stylesheet"', response.text
        ) * (directive == "style-src"):
            origin = "/".join(address.split("/")[:3])
            assert origin in directives[directive], address
    icon = re.search(r'rel="shortcut icon" href="(.*?)"', response.text)
    assert icon
    assert "/".join(icon[1].split("/")[:3]) in directives["img-src"]
