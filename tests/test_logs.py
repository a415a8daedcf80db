import json
import logging
from typing import Any

import pytest

from app.logs import configure_logging, get_logger
from app.settings import Settings


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_json_lines_of_structlog_and_of_the_standard_library(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging(Settings(log_format="json"))

    get_logger("facetwin.test").info("loaded", references=3)
    logging.getLogger("uvicorn.error").warning("going %s", "down")

    own, other = _lines(capsys)
    assert (own["message"], own["references"], own["level"]) == ("loaded", 3, "info")
    assert (other["message"], other["logger"]) == ("going down", "uvicorn.error")
    assert own["timestamp"].endswith("Z")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_local_variables(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    configure_logging(Settings.model_validate({"log_format": log_format}))
    local_variable = "a name " * 3

    try:
        int(local_variable[0])
    except ValueError:
        get_logger("facetwin.test").exception("failed")

    text = capsys.readouterr().err
    assert "ValueError" in text
    assert "a name a name" not in text


def test_the_level_is_kept_and_set_again(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json", log_level="error"))
    get_logger("facetwin.test").info("hidden")
    configure_logging(Settings(log_format="json"))
    get_logger("facetwin.test").info("seen")

    assert [line["message"] for line in _lines(capsys)] == ["seen"]


def test_the_access_log_of_the_server_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json"))

    logging.getLogger("uvicorn.access").info("GET /subjects/anna")

    assert capsys.readouterr().err == ""
