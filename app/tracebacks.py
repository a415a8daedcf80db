"""Tracebacks for logs: where something went wrong, and nothing of what it went wrong with.

Messages of exceptions quote values: paths with the name of a person, fields of a form, rows. Only
messages that this project writes for operators are kept, and the system's own word for an error.
"""

import sys
import traceback
from types import TracebackType
from typing import Any

from sqlalchemy.exc import DBAPIError
from structlog.types import EventDict, WrappedLogger

from app.domain.errors import BundleError, StorageError

_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"

ExcInfo = tuple[Any, BaseException | None, TracebackType | None]


def format_exception(error: BaseException) -> str:
    """Frames, types and harmless messages of an exception and of what led to it."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    stacked = f"Traceback (most recent call last):\n{frames}" if frames else ""
    own = f"{stacked}{type(error).__module__}.{type(error).__qualname__}{_message(error)}\n"
    inner = "".join(
        f"  | {line}\n"
        for each in getattr(error, "exceptions", ())
        for line in format_exception(each).splitlines()
    )
    return f"{_before(error)}{own}{inner}"


def replace_exc_info(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Processor: put the harmless traceback in the place of `exc_info`."""
    given = event.pop("exc_info", None)
    error = _error(given)
    if error is not None:
        event["exception"] = format_exception(error).rstrip()
    return event


def plain_traceback(sio: Any, exc_info: ExcInfo) -> None:
    """The same for structlog's console."""
    if exc_info[1] is not None:
        sio.write(format_exception(exc_info[1]))


def _error(given: Any) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        error: BaseException | None = given[1]
        return error
    return sys.exc_info()[1] if given else None


def _before(error: BaseException) -> str:
    if error.__cause__ is not None:
        return format_exception(error.__cause__) + _CAUSE
    if error.__context__ is not None and not error.__suppress_context__:
        return format_exception(error.__context__) + _CONTEXT
    return ""


def _message(error: BaseException) -> str:
    if isinstance(error, StorageError | BundleError):
        return f": {error.message}"
    if isinstance(error, OSError) and error.strerror:
        return f": [Errno {error.errno}] {error.strerror}"
    if isinstance(error, DBAPIError):
        # The driver's message names tables and columns; parameters are hidden by the engine.
        return f": {error.orig}"
    return ""
