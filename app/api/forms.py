"""Multipart forms whose photos stay in memory: nothing of a request is written to disk."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi.routing import APIRoute
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response

from app.api.form_parser import MAX_BOUNDARY_BYTES, LimitedParser
from app.api.state import settings_of
from app.domain.errors import InvalidRequestError, UnsupportedMediaTypeError

REPEATABLE_FIELD: Final = "files"
"""The one field that may come several times."""


class PhotoRequest(Request):
    """A request with a multipart form of photos, bounded in files and fields."""

    async def load_form(self) -> None:
        """Read the form; `form()` then answers with it.

        Raises:
            UnsupportedMediaTypeError: If the body is no multipart form.
            InvalidRequestError: If the form is malformed, has too many files or fields, a field
                twice or a field without a value.
        """
        content_type, options = parse_options_header(self.headers.get("Content-Type"))
        if content_type != b"multipart/form-data":
            raise UnsupportedMediaTypeError(
                "Send the photo as multipart/form-data, with curl for example as -F file=@photo.jpg"
            )
        if len(options.get(b"boundary", b"")) > MAX_BOUNDARY_BYTES:
            raise InvalidRequestError(
                f"The form's boundary is longer than {MAX_BOUNDARY_BYTES} bytes."
            )
        parser = LimitedParser(self.headers, self.stream(), settings_of(self))
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise InvalidRequestError(f"The form can't be read: {error.message}") from error
        self._form = form
        _refuse_repeated(form)
        _refuse_empty(form)


class PhotoRoute(APIRoute):
    """A route that reads its form as `PhotoRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler, which finds the form already read."""
        handle = super().get_route_handler()

        async def handle_photos(request: Request) -> Response:
            photos = PhotoRequest(request.scope, request.receive)
            try:
                await photos.load_form()
                return await handle(photos)
            finally:
                await photos.close()

        return handle_photos


def _refuse_repeated(form: FormData) -> None:
    """Refuse a field that came twice where one is meant: guessing which would be worse."""
    for name in form:
        if name != REPEATABLE_FIELD and len(form.getlist(name)) > 1:
            raise InvalidRequestError(
                f"The field {name!r} came more than once; send it once.",
                field=name,
            )


def _refuse_empty(form: FormData) -> None:
    """Refuse a field without a value: an app that lost a name must not verify `default` instead."""
    for name, value in form.multi_items():
        if value == "":
            raise InvalidRequestError(
                f"The field {name!r} is empty; send a value, or leave the field out.", field=name
            )
