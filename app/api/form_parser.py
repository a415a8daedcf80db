"""A multipart parser that holds its limits while the body is still coming in."""

from collections.abc import AsyncGenerator
from typing import Final

from starlette.datastructures import FormData, Headers
from starlette.formparsers import MultiPartParser

from app.domain.errors import InvalidRequestError
from app.settings import Settings

MAX_BOUNDARY_BYTES: Final = 70
"""RFC 2046 allows no more."""

_MAX_PART_HEADERS: Final = 8
_MAX_HEADER_BYTES: Final = 2048
"""All headers of one part together; they hold its name and the photo's file name."""


class LimitedParser(MultiPartParser):
    """Keeps photos in memory, and refuses a form at the first thing that is over a limit.

    The body's limit, held elsewhere, bounds the photos.
    """

    # Zero means that the temporary file never leaves memory.
    spool_max_size = 0

    def __init__(
        self, headers: Headers, stream: AsyncGenerator[bytes, None], settings: Settings
    ) -> None:
        unlimited = float("inf")  # counted here, with messages that name the setting
        super().__init__(headers, stream, max_files=unlimited, max_fields=unlimited)
        self._settings = settings
        self._parts = self._files = self._fields = 0
        self._header_bytes = self._headers_of_part = 0
        self._ended = False

    async def parse(self) -> FormData:
        """Read the form to its end.

        Raises:
            MultiPartException: If it is malformed.
            InvalidRequestError: If it is over a limit, or ends before its last boundary.
        """
        form = await super().parse()
        if not self._ended:
            for file in self._files_to_close_on_error:
                file.close()
            raise InvalidRequestError("The form ends before its last boundary.")
        return form

    def on_end(self) -> None:
        """Note that the last boundary came."""
        self._ended = True

    def on_part_begin(self) -> None:
        """Count a part."""
        self._parts += 1
        limit = self._settings.max_parts
        _refuse(self._parts > limit, f"The form has more than {limit} parts", "MAX_PARTS")
        self._header_bytes = self._headers_of_part = 0
        super().on_part_begin()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """Count a header's name."""
        self._count_header(end - start)
        super().on_header_field(data, start, end)

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """Count a header's value."""
        self._count_header(end - start)
        super().on_header_value(data, start, end)

    def on_header_end(self) -> None:
        """Count a header."""
        self._headers_of_part += 1
        if self._headers_of_part > _MAX_PART_HEADERS:
            raise InvalidRequestError(
                f"A part of the form has more than {_MAX_PART_HEADERS} headers."
            )
        super().on_header_end()

    def on_headers_finished(self) -> None:
        """Count a photo or a field."""
        super().on_headers_finished()
        if self._current_part.file is not None:
            self._files += 1
            limit = self._settings.max_files_per_request
            over = self._files > limit
            _refuse(over, f"The form has more than {limit} files", "MAX_FILES_PER_REQUEST")
        else:
            self._fields += 1
            limit = self._settings.max_fields
            _refuse(self._fields > limit, f"The form has more than {limit} fields", "MAX_FIELDS")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Take in some of a photo or of a field."""
        part, limit = self._current_part, self._settings.max_field_bytes
        if part.file is None:
            over = len(part.data) + end - start > limit
            _refuse(over, f"A field is longer than {limit} bytes", "MAX_FIELD_BYTES")
        super().on_part_data(data, start, end)

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > _MAX_HEADER_BYTES:
            raise InvalidRequestError(
                f"The headers of a part of the form are longer than {_MAX_HEADER_BYTES} bytes."
            )


def _refuse(over: bool, what: str, setting: str) -> None:
    if over:
        raise InvalidRequestError(f"{what} (FACETWIN_{setting}).")
