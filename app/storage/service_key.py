"""The service's secret: from the settings, or made once and kept beside the database."""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from app.domain.errors import StorageError
from app.domain.signing import KEY_BYTES, ServiceKey
from app.storage.files import sync_folder
from app.storage.layout import file_errors

SERVICE_KEY_FILE: Final = "service.key"
_LOST: Final = (
    "The service's key {path} is gone, but the audit log and receipts were signed with it. Restore "
    "it from a backup, or set FACETWIN_SERVICE_KEY to its content. If it is lost, `facetwin audit "
    "renew-key` makes a new one; what the old one signed can then no longer be checked."
)


def service_key(
    folder: Path, configured: str | None, may_make: Callable[[], bool] = lambda: True
) -> ServiceKey:
    """The key from the setting; else the one in `folder`, which is made if there is none.

    Args:
        folder: Of the application data.
        configured: The setting.
        may_make: Whether a new key is in order: nothing was signed with another one yet.

    Raises:
        StorageError: If it is lost or too short, or its file can't be read or written.
    """
    if configured is not None:
        return _key(configured.encode(), "FACETWIN_SERVICE_KEY")
    path = folder / SERVICE_KEY_FILE
    with file_errors(f"The service's key {path} can't be read or made"):
        if not path.exists():
            if not may_make():
                raise StorageError(_LOST.format(path=path))
            make_service_key(folder)
        return _key(path.read_bytes().strip(), str(path))


def make_service_key(folder: Path) -> None:
    """Make the key of `folder`, unless it has one.

    Raises:
        StorageError: If it can't be written.
    """
    path = folder / SERVICE_KEY_FILE
    with file_errors(f"The service's key {path} can't be made"):
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path)


def _make(path: Path) -> None:
    """Write a new key durably; of two processes that do it at once, the first one's stays."""
    draft = path.with_name(f".{uuid4().hex}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(draft, flags, 0o600), "wb") as file:
            file.write(secrets.token_hex(KEY_BYTES).encode())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
        sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _key(secret: bytes, place: str) -> ServiceKey:
    try:
        return ServiceKey(secret)
    except ValueError:
        raise StorageError(
            f"{place} is too short to sign with: it needs {KEY_BYTES} characters or more."
        ) from None
