"""Bad forms, names and numbers to the shipped bundle: a problem code, and nothing changes."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.api.real_service import service_with_anna, state_of
from tests.api.service import Service
from tests.api.test_errors import check_problem
from tests.hostile_pictures import portrait
from tests.pictures import HOPPER


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service_with_anna(tmp_path_factory.mktemp("application_data")) as service:
        yield service


@pytest.fixture
def unchanged(real: Service) -> Iterator[Service]:
    before = state_of(real)
    yield real
    assert state_of(real) == before
    assert before[0]["images"]


def _form(**options: Any) -> Callable[[Service], httpx.Response]:
    return lambda service: service.request("POST", "/enroll", **options)


PHOTO = ("p.jpg", HOPPER.read_bytes())
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
FORMS: dict[str, tuple[str, Callable[[Service], httpx.Response]]] = {
    "no body": ("unsupported_media_type", _form()),
    "an empty body": ("invalid_request", _form(headers=MULTIPART)),
    "a body of JSON": ("unsupported_media_type", _form(json={"files": []})),
    "an urlencoded body": ("unsupported_media_type", _form(data={"subject": "eve"})),
    "no boundary": (
        "invalid_request",
        _form(content=b"x", headers={"Content-Type": "multipart/form-data"}),
    ),
    "a form cut off": ("invalid_request", _form(content=b"--b\r\nContent-Dis", headers=MULTIPART)),
    "a wrong field name": ("invalid_request", _form(files={"photo": PHOTO})),
    "a text instead of a file": ("invalid_request", _form(files={"files": (None, "text")})),
    "no file": ("invalid_request", _form(files={"subject": (None, "eve")})),
    "1,000 files": ("invalid_request", _form(files=[("files", ("p.jpg", b"x"))] * 1000)),
    "10,000 fields": (
        "invalid_request",
        _form(files={"files": PHOTO}, data={f"field{i}": "x" for i in range(10_000)}),
    ),
    "a field of 5,000 characters": (
        "invalid_request",
        _form(files={"files": PHOTO}, data={"face_policy": "x" * 5000}),
    ),
    "a field that came twice": (
        "invalid_request",
        _form(files={"files": PHOTO}, data={"subject": ["eve", "anna"]}),
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_bad_form_gets_its_problem(unchanged: Service, name: str) -> None:
    code, send = FORMS[name]

    check_problem(send(unchanged), code)


NAMES = [
    "../anna",
    "..%2fanna",
    "..",
    ".",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "anna\x00",
    "an\nna",
    "anna\r",
    "a" * 65,
    "a" * 300,
    "a\N{GRINNING FACE}",
    "\N{FULLWIDTH LATIN SMALL LETTER A}nna",
    "ann\N{CYRILLIC SMALL LETTER A}",
    "anna ",
    " anna",
    "-anna",
    "CON\u0301",
    "${HOME}",
    "'; DROP TABLE subjects; --",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_bad_subject_name_gets_its_problem(unchanged: Service, name: str) -> None:
    data = {"subject": name}
    photo = {"files": ("p.jpg", portrait())}
    probe = {"file": ("p.jpg", portrait())}

    check_problem(unchanged.request("POST", "/enroll", files=photo, data=data), "invalid_request")
    check_problem(unchanged.request("POST", "/verify", files=probe, data=data), "invalid_request")


def test_names_that_differ_in_case_are_one_person(real: Service) -> None:
    real.delete("/subjects/carl")
    first = real.enroll(HOPPER.read_bytes(), subject="Carl")
    second = real.enroll(portrait(), subject="cARL")

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() | {"subject": "Carl", "references": 2} == second.json()


NO_NUMBERS = [
    "NaN",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "-1",
    "-0.000001",
    "1.000001",
    "1e30",
    "0x1",
    "0,5",
    "1_0",
    "five",
    "0.5 0.5",
    "\N{FULLWIDTH DIGIT ZERO}.\N{FULLWIDTH DIGIT FIVE}",
    "9" * 400,
    "0.5\x00",
    "null",
    "true",
    "[0.5]",
]


@pytest.mark.parametrize("field", ["max_fmr", "detection_threshold", "verification_threshold"])
@pytest.mark.parametrize("value", NO_NUMBERS, ids=ascii)
def test_a_bad_number_gets_its_problem(unchanged: Service, field: str, value: str) -> None:
    answer = unchanged.verify(portrait(), subject="anna", **{field: value})

    assert check_problem(answer, "invalid_request")["errors"][0]["field"] == field


@pytest.mark.parametrize(
    "field", ["max_fmr", "detection_threshold", "verification_threshold", "subject", "detail"]
)
def test_a_field_without_a_value_is_not_taken_for_one_left_out(
    unchanged: Service, field: str
) -> None:
    fields = {"subject": "anna", field: ""}
    answer = unchanged.verify(portrait(), **fields)

    assert check_problem(answer, "invalid_request")["errors"][0]["field"] == field


@pytest.mark.parametrize("value", ["0", "1"])
def test_a_false_match_rate_lies_between_zero_and_one(unchanged: Service, value: str) -> None:
    answer = unchanged.verify(portrait(), subject="anna", max_fmr=value)

    assert check_problem(answer, "invalid_request")["errors"][0]["field"] == "max_fmr"


def test_a_false_match_rate_that_nothing_supports(unchanged: Service) -> None:
    answer = unchanged.verify(portrait(), subject="anna", max_fmr="1e-300")

    check_problem(answer, "unsupported_fmr")
