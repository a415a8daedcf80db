"""Multipart forms whose photos stay in memory: nothing of a request is written to disk."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import UploadFile
from fastapi.routing import APIRoute
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response

from app.api.form_parser import MAX_BOUNDARY_BYTES, LimitedParser
from app.api.state import pool_of, settings_of
from app.domain.errors import InvalidRequestError, OverloadedError, UnsupportedMediaTypeError
from app.inference.pool import RETRY_AFTER_SECONDS

REPEATABLE_FIELD: Final = "files"
"""The one field that may come several times."""

_CHARSETS: Final = frozenset({b"utf-8", b"utf8", b"us-ascii"})


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
        # Other codecs would decode names to what can't be stored or answered.
        if options.get(b"charset", b"utf-8").lower() not in _CHARSETS:
            raise InvalidRequestError("Send the form in UTF-8, without another charset.")
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
            _refuse_overload(photos)
            try:
                await photos.load_form()
                return await handle(photos)
            finally:
                await photos.close()

        return handle_photos


async def content_of(photo: UploadFile) -> bytes:
    """The bytes of a photo; the form's own copy is given up."""
    data = await photo.read()
    await photo.close()
    return data


def _refuse_overload(request: Request) -> None:
    """Refuse before the body is read; the pool looks again when the work comes to it."""
    pool = pool_of(request)
    if pool.in_flight >= pool.capacity:
        raise OverloadedError(
            "The service is busy: its inference queue is full. Try again in a moment.",
            retry_after=RETRY_AFTER_SECONDS,
        )


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
