"""OpenAPI beyond what FastAPI writes: problem documents, and photos as binary fields."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from fastapi import FastAPI

from app.api.errors import PROBLEM_MEDIA_TYPE, PROBLEMS, problem_type
from app.api.problem_schemas import ProblemOut

_SCHEMA: Final = "Problem"


OPEN_ROUTE_CODES: Final = (
    "image_too_large",
    "request_timeout",
    "deadline_exceeded",
    "shutting_down",
    "internal_error",
)
"""Problems of any route, also of those that need no key."""

ANY_ROUTE_CODES: Final = (*OPEN_ROUTE_CODES, "unauthorized", "forbidden", "rate_limited")
"""Problems of any route that needs a key."""


def problems(
    *codes: str, common: Sequence[str] = ANY_ROUTE_CODES
) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can fail with these codes, and with the `common` ones."""
    responses: dict[int | str, dict[str, Any]] = {}
    for code in dict.fromkeys((*codes, *common)):
        status, title = PROBLEMS[code]
        entry = responses.setdefault(
            status.value,
            {
                "description": status.phrase,
                "content": {
                    PROBLEM_MEDIA_TYPE: {
                        "schema": {"$ref": f"#/components/schemas/{_SCHEMA}"},
                        "examples": {},
                    }
                },
            },
        )
        examples = entry["content"][PROBLEM_MEDIA_TYPE]["examples"]
        examples[code] = {"summary": title, "value": _example(code)}
    return responses


def complete_openapi(app: FastAPI) -> None:
    """Add the schema that `problems` refers to, and tell older tools that photos are binary."""
    generate: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schema = ProblemOut.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(schema.pop("$defs", {}))
        schemas[_SCHEMA] = schema
        for each in schemas.values():
            for field in each.get("properties", {}).values():
                _mark_binary(field)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _mark_binary(field: dict[str, Any]) -> None:
    """OpenAPI 3.1 says `contentMediaType`; many tools still look for `format`."""
    for schema in (field, field.get("items", {})):
        if schema.get("contentMediaType") == "application/octet-stream":
            schema["format"] = "binary"


def _example(code: str) -> dict[str, Any]:
    status, title = PROBLEMS[code]
    return {
        "type": problem_type(code),
        "title": title,
        "status": status.value,
        "detail": "A sentence that says what happened and what to do.",
        "instance": "/verify",
        "code": code,
        "request_id": "0f6b3c1de6f14f0c9a1d8a4c6a5b7e21",
    }
