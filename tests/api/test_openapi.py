from typing import Any

import pytest

from app.api.errors import PROBLEMS
from app.api.openapi import ANY_ROUTE_CODES, OPEN_ROUTE_CODES
from tests.api.service import Service


@pytest.fixture
def document(service: Service) -> dict[str, Any]:
    document: dict[str, Any] = service.get("/openapi.json").json()
    return document


def _operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def _references(node: Any) -> set[str]:
    if isinstance(node, dict):
        found = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return found.union(*(_references(child) for child in node.values()))
    if isinstance(node, list):
        return set().union(*(_references(child) for child in node))
    return set()


def test_every_call_is_there(document: dict[str, Any]) -> None:
    assert set(_operations(document)) == {
        "POST /enroll",
        "POST /verify",
        "POST /compare",
        "POST /detect",
        "GET /subjects",
        "GET /subjects/{subject}",
        "DELETE /subjects/{subject}",
        "GET /subjects/{subject}/export",
        "GET /subjects/{subject}/images/{image_id}",
        "GET /subjects/{subject}/images/{image_id}/content",
        "DELETE /subjects/{subject}/images/{image_id}",
        "GET /models",
        "GET /models/{version}",
        "POST /models/{version}/activate",
        "POST /train",
        "GET /train",
        "GET /train/{job_id}",
        "DELETE /train/{job_id}",
        "POST /train/{job_id}/resume",
        "GET /train/{job_id}/events",
        "GET /train/{job_id}/report",
        "GET /data",
        "POST /data/{role}",
        "DELETE /data/{role}",
        "DELETE /data/{role}/{name}",
        "GET /healthz",
        "GET /readyz",
        "GET /version",
        "GET /metrics",
    }


def test_no_reference_dangles(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    assert _references(document) <= {f"#/components/schemas/{name}" for name in schemas}


def test_problems_are_documented_as_problems(document: dict[str, Any]) -> None:
    for name, operation in _operations(document).items():
        for status, response in operation["responses"].items():
            if int(status) < 400:
                continue
            assert list(response["content"]) == ["application/problem+json"], name
            examples = response["content"]["application/problem+json"]["examples"]
            assert examples
            for code, example in examples.items():
                assert example["value"]["status"] == PROBLEMS[code][0] == int(status)


@pytest.mark.parametrize(
    ("path", "fields"),
    [("/verify", ["file"]), ("/detect", ["file"]), ("/compare", ["source", "target"])],
)
def test_photos_are_binary_fields(document: dict[str, Any], path: str, fields: list[str]) -> None:
    content = document["paths"][path]["post"]["requestBody"]["content"]
    reference = content["multipart/form-data"]["schema"]["$ref"].rpartition("/")[2]
    schema = document["components"]["schemas"][reference]

    assert schema["required"] == fields
    for field in fields:
        assert schema["properties"][field]["format"] == "binary"


def test_many_photos_are_binary_too(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["EnrollForm"]

    assert schema["properties"]["files"]["items"]["format"] == "binary"
    assert schema["properties"]["files"]["minItems"] == 1


def test_every_call_is_explained(document: dict[str, Any]) -> None:
    for name, operation in _operations(document).items():
        assert operation["summary"], name
        assert operation["description"], name


def test_what_any_call_can_answer_is_documented(document: dict[str, Any]) -> None:
    for name, operation in _operations(document).items():
        answers = operation["responses"]
        codes = {
            code
            for response in answers.values()
            for content in response.get("content", {}).values()
            for code in content.get("examples", {})
        }
        assert set(OPEN_ROUTE_CODES) <= codes, name
        if name not in {"GET /healthz", "GET /readyz"}:
            assert set(ANY_ROUTE_CODES) <= codes, name


def test_answers_carry_examples(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    for name in ("VerdictOut", "EnrollOut", "DetectOut", "SubjectOut"):
        properties = schemas[name]["properties"].values()
        assert any("examples" in each for each in properties), name


def test_it_stays_the_same(service: Service, document: dict[str, Any]) -> None:
    assert service.get("/openapi.json").json() == document
