"""Subject names."""

import re
from typing import Final

from app.domain.errors import InvalidRequestError

DEFAULT_SUBJECT: Final = "default"
SUBJECT_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_SUBJECT = re.compile(SUBJECT_PATTERN.removesuffix("$") + r"\Z")


def is_subject_name(name: str) -> bool:
    """Whether `name` may be a subject (and so the name of a folder)."""
    return _SUBJECT.match(name) is not None


def subject_key(name: str) -> str:
    """What makes a subject unique: its name without regard to case.

    Raises:
        InvalidRequestError: If the name is not allowed.
    """
    if not is_subject_name(name):
        raise InvalidRequestError(
            "A subject name has 1 to 64 of the characters A-Z a-z 0-9 . _ - and starts with a "
            "letter or a digit.",
            field="subject",
        )
    return name.casefold()
