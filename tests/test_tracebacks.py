import sqlite3

import pytest
from sqlalchemy.exc import IntegrityError

from app.domain.errors import InvalidRequestError, StorageError
from app.tracebacks import format_exception

NAME = "zaphod"


def _raise(error: BaseException) -> None:
    raise error


def _raised(error: BaseException) -> str:
    with pytest.raises(type(error)) as raised:
        _raise(error)
    return format_exception(raised.value)


def test_frames_and_types_are_told() -> None:
    text = _raised(ValueError("zaphod"))

    assert text.startswith("Traceback (most recent call last):")
    assert "test_tracebacks.py" in text
    assert text.endswith("builtins.ValueError\n")
    assert "zaphod" not in text


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StorageError("The disk is full."), "StorageError: The disk is full."),
        (InvalidRequestError("The field 'zaphod' is odd."), "InvalidRequestError"),
        (OSError(28, "No space left on device", "/zaphod/1.jpg"), "[Errno 28] No space left"),
        (FileNotFoundError("zaphod"), "FileNotFoundError"),
        (
            IntegrityError(
                "INSERT", {"name": "zaphod"}, sqlite3.IntegrityError("UNIQUE: subjects.name_key")
            ),
            "IntegrityError: UNIQUE: subjects.name_key",
        ),
    ],
)
def test_only_harmless_messages_are_kept(error: BaseException, told: str) -> None:
    text = _raised(error)

    assert told in text
    assert "zaphod" not in text


def _raise_chain(*, suppressed: bool) -> None:
    try:
        _raise(KeyError(NAME))
    except KeyError as cause:
        raise StorageError("It can't be read.") from None if suppressed else cause


def _chain(*, suppressed: bool = False) -> str:
    with pytest.raises(StorageError) as raised:
        _raise_chain(suppressed=suppressed)
    return format_exception(raised.value)


def test_what_led_to_it_is_told_first() -> None:
    text = _chain()

    assert text.index("KeyError\n") < text.index("direct cause") < text.index("It can't be read.\n")
    assert NAME not in text


def test_what_was_suppressed_stays_so() -> None:
    assert "builtins.KeyError" not in _chain(suppressed=True)


def test_members_of_a_group_are_told() -> None:
    text = _raised(ExceptionGroup("zaphod", [ValueError("zaphod"), OSError(5, "I/O error")]))

    assert "  | builtins.ValueError" in text
    assert "  | builtins.OSError: [Errno 5] I/O error" in text
    assert "zaphod" not in text
