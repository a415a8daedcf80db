"""Names in a form are UTF-8; what other codecs could make of them must not come through."""

import pytest

from app.settings import Settings
from tests.api.service import Service
from tests.api.test_errors import check_problem
from tests.dummy_pipeline import photo

REFUSED = ["undefined", "unicode_escape", "utf-7", "utf-16", "idna", "rot13", "", '"utf-7"', "nope"]
SURROGATE = rb"\ud800"


def _body(name: bytes, filename: bytes = b"", times: int = 1) -> bytes:
    disposition = b'Content-Disposition: form-data; name="' + name + b'"'
    if filename:
        disposition += b'; filename="' + filename + b'"'
    part = b"--b\r\n" + disposition + b"\r\n\r\n" + photo("alice") + b"\r\n"
    return part * times + b"--b--\r\n"


def _type(charset: str) -> dict[str, str]:
    return {"Content-Type": f"multipart/form-data; boundary=b; charset={charset}"}


@pytest.mark.parametrize("charset", REFUSED)
@pytest.mark.parametrize("path", ["/enroll", "/verify", "/detect", "/compare"])
def test_another_charset_is_refused(service: Service, path: str, charset: str) -> None:
    response = service.request("POST", path, content=_body(b"files"), headers=_type(charset))

    assert "UTF-8" in check_problem(response, "invalid_request")["detail"]


@pytest.mark.parametrize("charset", ["unicode_escape", "utf-7"])
def test_a_file_name_in_another_charset_enrolls_nobody(service: Service, charset: str) -> None:
    body = _body(b"files", SURROGATE + b"+2AA-.jpg")
    response = service.request("POST", "/enroll", content=body, headers=_type(charset))

    check_problem(response, "invalid_request")
    assert service.metric("facetwin_references") == 0


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "utf8", "us-ascii", '"utf-8"'])
@pytest.mark.parametrize("name", [SURROGATE, b"\xed\xa0\x80", b"+2AA-", b"\xff"])
def test_no_name_that_is_accepted_holds_a_surrogate(
    service: Service, charset: str, name: bytes
) -> None:
    enrolled = service.request(
        "POST", "/enroll", content=_body(b"files", name), headers=_type(charset)
    )
    twice = service.request("POST", "/verify", content=_body(name, times=2), headers=_type(charset))

    assert enrolled.status_code == 201
    (accepted,) = enrolled.json()["enrolled"]
    accepted["filename"].encode()
    field = check_problem(twice, "invalid_request")["errors"][0]["field"]
    field.encode()


def test_the_charset_is_refused_before_anything_is_read(settings: Settings) -> None:
    with Service(settings.model_copy(update={"max_fields": 1})) as service:
        body = b"".join(_body(b"a%d" % i) for i in range(3))
        response = service.request("POST", "/verify", content=body, headers=_type("undefined"))

    assert "UTF-8" in check_problem(response, "invalid_request")["detail"]
