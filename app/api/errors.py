"""The one place where errors become answers: RFC 9457 problem documents with a stable `code`."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api.state import metrics_of, request_id_of
from app.domain.errors import FacetwinError
from app.logs import get_logger

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"

PROBLEMS: Final[Mapping[str, tuple[HTTPStatus, str]]] = {
    "invalid_request": (HTTPStatus.UNPROCESSABLE_ENTITY, "The request is not valid"),
    "invalid_image": (HTTPStatus.UNPROCESSABLE_ENTITY, "The image can't be decoded"),
    "no_face": (HTTPStatus.UNPROCESSABLE_ENTITY, "No face was found"),
    "multiple_faces": (HTTPStatus.UNPROCESSABLE_ENTITY, "More than one face was found"),
    "enrollment_rejected": (HTTPStatus.UNPROCESSABLE_ENTITY, "Every photo was rejected"),
    "unsupported_fmr": (HTTPStatus.UNPROCESSABLE_ENTITY, "The calibration can't price this FMR"),
    "image_too_large": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The image is too large"),
    "unsupported_media_type": (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The file type is not supported"),
    "subject_not_found": (HTTPStatus.NOT_FOUND, "There is no such subject"),
    "image_not_found": (HTTPStatus.NOT_FOUND, "There is no such reference"),
    "model_not_found": (HTTPStatus.NOT_FOUND, "There is no such model"),
    "job_not_found": (HTTPStatus.NOT_FOUND, "There is no such training job"),
    "report_not_found": (HTTPStatus.NOT_FOUND, "There is no such report"),
    "not_found": (HTTPStatus.NOT_FOUND, "There is no such path"),
    "method_not_allowed": (HTTPStatus.METHOD_NOT_ALLOWED, "The path has no such method"),
    "no_references": (HTTPStatus.CONFLICT, "The subject has no usable reference"),
    "activation_running": (HTTPStatus.CONFLICT, "Another model is being activated"),
    "job_conflict": (HTTPStatus.CONFLICT, "The job's state does not allow this"),
    "training_data_invalid": (
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Training on these photos would be meaningless",
    ),
    "training_unavailable": (HTTPStatus.SERVICE_UNAVAILABLE, "Training is not installed"),
    "unauthorized": (HTTPStatus.UNAUTHORIZED, "An API key is needed"),
    "forbidden": (HTTPStatus.FORBIDDEN, "This is not allowed"),
    "rate_limited": (HTTPStatus.TOO_MANY_REQUESTS, "Too many requests"),
    "request_timeout": (HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive in time"),
    "deadline_exceeded": (HTTPStatus.SERVICE_UNAVAILABLE, "The answer was not ready in time"),
    "overloaded": (HTTPStatus.SERVICE_UNAVAILABLE, "The service is busy"),
    "shutting_down": (HTTPStatus.SERVICE_UNAVAILABLE, "The service is being stopped"),
    "not_ready": (HTTPStatus.SERVICE_UNAVAILABLE, "The service is not ready"),
    "storage_unavailable": (HTTPStatus.SERVICE_UNAVAILABLE, "The gallery can't be reached"),
    "bundle_invalid": (HTTPStatus.SERVICE_UNAVAILABLE, "The model can't be used"),
    "internal_error": (HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong in the service"),
}
"""Status and title of each code."""

_CODE_OF_STATUS: Final[Mapping[int, str]] = {
    400: "invalid_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "image_too_large",
}
_INTERNAL_DETAIL: Final = (
    "The service met an error it did not expect. Quote the request_id when you report it."
)
_RESERVED: Final = frozenset(
    {"type", "title", "status", "detail", "instance", "code", "request_id"}
)


_FOR_THE_OPERATOR: Final = frozenset({"storage_unavailable", "bundle_invalid", "internal_error"})
_CLOSING: Final = frozenset({"request_timeout", "shutting_down"})
"""After these the connection is of no more use."""

_log = get_logger("facetwin.errors")


class UnauthorizedError(FacetwinError):
    """No API key came with the request, or an unknown one."""

    code = "unauthorized"


class ForbiddenError(FacetwinError):
    """The caller may not do this."""

    code = "forbidden"


class RateLimitedError(FacetwinError):
    """The caller sends more requests than the settings allow."""

    code = "rate_limited"


class RequestTimeoutError(FacetwinError):
    """The client was too slow to send its request."""

    code = "request_timeout"


class DeadlineExceededError(FacetwinError):
    """The answer was not ready within the time that a request may take."""

    code = "deadline_exceeded"


class ShuttingDownError(FacetwinError):
    """The service is being stopped and takes no new requests."""

    code = "shutting_down"


class NotReadyError(FacetwinError):
    """The service can't verify; `/readyz` says why."""

    code = "not_ready"


def problem_type(code: str) -> str:
    """The URI that identifies a kind of problem."""
    return f"urn:facetwin:problem:{code}"


def problem_response(
    request: Request,
    code: str,
    detail: str,
    *,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Answer `request` with a problem document.

    Args:
        request: What is answered.
        code: A key of `PROBLEMS`; others become `internal_error`.
        detail: One sentence for a person.
        extra: Further members; they never replace the standard ones.
        headers: Further headers.
    """
    if code not in PROBLEMS:
        code, detail, extra = "internal_error", _INTERNAL_DETAIL, None
    status, title = PROBLEMS[code]
    members = {name: value for name, value in (extra or {}).items() if name not in _RESERVED}
    metrics_of(request).rejections.labels(code).inc()
    request.state.problem = code
    return JSONResponse(
        {
            "type": problem_type(code),
            "title": title,
            "status": status.value,
            "detail": detail,
            "instance": request.url.path,
            "code": code,
            "request_id": request_id_of(request),
            **jsonable_encoder(members),
        },
        status_code=status.value,
        headers={**_standard_headers(code, members), **(headers or {})},
        media_type=PROBLEM_MEDIA_TYPE,
    )


def facetwin_problem(request: Request, error: FacetwinError) -> Response:
    """Answer with a named error of the domain or of this layer.

    What an operator must mend goes to the log with its cause; what a caller must, does not.
    """
    if error.code in _FOR_THE_OPERATOR:
        _log.error("problem", code=error.code, exc_info=error)
    extra = dict(error.extra)
    if "field" in extra:
        extra["errors"] = [{"field": extra.pop("field"), "message": error.message}]
    return problem_response(request, error.code, error.message, extra=extra)


def internal_problem(request: Request) -> Response:
    """Answer to an error nobody foresaw; its traceback goes to the log only."""
    return problem_response(request, "internal_error", _INTERNAL_DETAIL)


def install_error_handlers(app: FastAPI) -> None:
    """Route every error that leaves a route to this module."""
    app.add_exception_handler(FacetwinError, _on_facetwin_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)


def _on_facetwin_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, FacetwinError)
    return facetwin_problem(request, error)


def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_field_error(item) for item in error.errors()]
    names = ", ".join(dict.fromkeys(item["field"] for item in errors))
    detail = f"Check the parameters: {names}." if names else "Check the parameters."
    return problem_response(request, "invalid_request", detail, extra={"errors": errors})


def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODE_OF_STATUS.get(error.status_code, "internal_error")
    detail = {
        "not_found": "This path does not exist. See /docs for those that do.",
        "method_not_allowed": f"This path does not answer {request.method}. See /docs.",
        "internal_error": _INTERNAL_DETAIL,
    }.get(code, str(error.detail))
    return problem_response(request, code, detail, headers=error.headers)


def _field_error(item: Mapping[str, Any]) -> dict[str, str]:
    """Field and message of one finding; never the input, which may be a photo or a name."""
    path: Sequence[Any] = item["loc"]
    field = ".".join(str(part) for part in path[1:]) or str(path[0])
    messages = {
        "missing": "This field is required.",
        "extra_forbidden": "There is no field of this name.",
        "value_error": "This value is not accepted here; a photo is sent as a file part.",
    }
    return {"field": field, "message": messages.get(item["type"], f"{item['msg']}.")}


def _standard_headers(code: str, members: Mapping[str, Any]) -> dict[str, str]:
    headers = {}
    if "retry_after" in members or code == "overloaded":
        headers["Retry-After"] = str(members.get("retry_after", 1))
    if code == "unauthorized":
        headers["WWW-Authenticate"] = 'Bearer realm="facetwin"'
    if code in _CLOSING:
        headers["Connection"] = "close"
    return headers
