"""Limits on request bodies, held before and while they are read."""

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.domain.errors import ImageTooLargeError, OverloadedError
from app.domain.training import Role
from app.settings import Settings

FORM_OVERHEAD: Final = 64 * 1024
"""Bytes that a multipart body may have beside its photos: boundaries, headers, fields."""

_PHOTOS: Final = {"/verify": 1, "/detect": 1, "/compare": 2}
"""Photos that a body may hold; elsewhere none."""

_MANY_PHOTOS: Final = frozenset({"/enroll", *(f"/data/{role.value}" for role in Role)})
"""Where a body may hold as many photos as the settings allow."""


class BodyLimitMiddleware:
    """Refuses a body over the limit by its stated length, or as soon as it grows over it.

    Bodies stay in memory, so all those that are held at one time are bounded too.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection.

        Raises:
            ImageTooLargeError: If its body is over the limit.
            OverloadedError: If all bodies together are.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        stated = Headers(scope=scope).get("Content-Length", "")
        if stated.isdecimal() and int(stated) > limit:
            raise _too_large(limit)
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            size = len(message.get("body", b""))
            received += size
            self._held += size
            if received > limit:
                raise _too_large(limit)
            if self._held > max(limit, self._settings.max_pending_bytes):
                raise OverloadedError(
                    "The service holds too many photos. Try again in a moment.", retry_after=1
                )
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._held -= received

    def _limit(self, path: str) -> int:
        if path in _MANY_PHOTOS:
            return self._settings.max_request_bytes
        return _PHOTOS.get(path, 0) * self._settings.max_image_bytes + FORM_OVERHEAD


def _too_large(limit: int) -> ImageTooLargeError:
    return ImageTooLargeError(
        f"The request body is larger than {limit} bytes. Send a smaller photo, or fewer photos in "
        "one request.",
        max_bytes=limit,
    )
