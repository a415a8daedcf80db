"""Structured logs: one JSON object (or console line) per event, the server's own included.

Events carry no subject names, no scores and no images; see `app.api.request_context`.
"""

import logging
import sys
from typing import TextIO

import structlog
from structlog.types import Processor

from app.settings import Settings
from app.tracebacks import plain_traceback, replace_exc_info


class _FacetwinHandler(logging.StreamHandler[TextIO]):
    """The handler that `configure_logging` owns; it writes to what is standard error now."""

    def __init__(self) -> None:
        # Not StreamHandler's, which would bind one stream for good.
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Standard error, also after it was redirected."""
        return sys.stderr


def configure_logging(settings: Settings) -> None:
    """Send structlog, the standard library and uvicorn to standard error in one format.

    uvicorn's access log is silenced: it prints paths, and a path can hold a subject's name.
    """
    handler = _FacetwinHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(_is_console(settings)),
            ],
            foreign_pre_chain=_shared_processors(),
        )
    )
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _FacetwinHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.log_level.upper())
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    logging.getLogger("uvicorn.access").disabled = True
    # It tells of its own set-up at every start.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared_processors(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger of the standard hierarchy that takes key-value pairs."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def _is_console(settings: Settings) -> bool:
    if settings.log_format == "auto":
        return sys.stderr.isatty()
    return settings.log_format == "console"


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _renderers(console: bool) -> list[Processor]:
    # structlog's own tracebacks hold messages and local variables, and those photos and names.
    if console:
        return [structlog.dev.ConsoleRenderer(exception_formatter=plain_traceback)]
    return [
        replace_exc_info,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(),
    ]
