"""Paths as text.

A file's name may be any bytes. Python holds those that are no text as surrogates, which neither
the database nor an answer can take.
"""

import os
from typing import Final

_BYTES: Final = "//"
"""Begins what stands for a path that is not text; no path in the folder begins so."""


def is_text(path: str) -> bool:
    """Whether a path can be kept in the database as it is."""
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in path)


def printable(path: str) -> str:
    """A path as it can be shown; what is no text is replaced."""
    return os.fsencode(path).decode("utf-8", "replace")


def to_text(path: str) -> str:
    """A path as the database can keep it, whatever its bytes are."""
    return path if is_text(path) else _BYTES + os.fsencode(path).hex()


def from_text(text: str) -> str:
    """The path that `to_text` made `text` of."""
    if not text.startswith(_BYTES):
        return text
    return os.fsdecode(bytes.fromhex(text.removeprefix(_BYTES)))
