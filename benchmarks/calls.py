"""Single calls to a running service, with their answers whole."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from time import perf_counter
from typing import Any, Final

_BOUNDARY: Final = "facetwin-benchmark"
FORM: Final = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
BROKEN: Final = (OSError, HTTPException)
"""What a call raises if the connection ends before the answer."""

KEPT_SECONDS: Final = 2.0
"""A connection that was idle for longer is not used again: the service closes idle ones."""


@dataclass(frozen=True)
class Answer:
    """What the service said; `document` is empty if it was not a JSON object."""

    status: int
    document: dict[str, Any]
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        """The problem's code, or ok."""
        return "ok" if self.status < 400 else str(self.document.get("code"))


class Caller:
    """Calls over one kept connection, which is opened again after it broke."""

    def __init__(self, port: int, timeout: float = 60) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
        self._used = perf_counter()

    def call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request.

        Raises:
            OSError, HTTPException: If there is no whole answer; see `BROKEN`.
        """
        if perf_counter() - self._used > KEPT_SECONDS:
            self._connection.close()
        self._used = perf_counter()
        try:
            self._connection.request(method, path, body or None, dict(headers or {}))
            response = self._connection.getresponse()
            content = response.read()
        except BROKEN:
            self._connection.close()
            raise
        received = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, _document(content), received)

    def get(self, path: str) -> Answer:
        """A GET request."""
        return self.call("GET", path)

    def delete(self, path: str) -> Answer:
        """A DELETE request."""
        return self.call("DELETE", path)

    def verify(self, photo: bytes, subject: str = "default") -> Answer:
        """Is this the person enrolled?"""
        return self.post("/verify", [("file", photo)], subject=subject)

    def enroll(self, photos: Sequence[bytes], subject: str) -> Answer:
        """Add photos of a person."""
        return self.post("/enroll", [("files", photo) for photo in photos], subject=subject)

    def post(self, path: str, photos: Sequence[tuple[str, bytes]], **fields: str) -> Answer:
        """A form with photos and fields."""
        return self.call("POST", path, form(photos, **fields), FORM)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def form(photos: Sequence[tuple[str, bytes]], **fields: str) -> bytes:
    """A multipart body; its Content-Type is `FORM`."""
    parts = [_part(f'name="{name}"', value.encode()) for name, value in fields.items()]
    parts += [
        _part(f'name="{name}"; filename="{i}.jpg"', photo) for i, (name, photo) in enumerate(photos)
    ]
    return b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()


def _part(disposition: str, content: bytes) -> bytes:
    head = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode() + content + b"\r\n"


def _document(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
