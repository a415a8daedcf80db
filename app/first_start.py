"""What a start makes in a volume that lacks it: the bundle that the image ships, and the folders.

The bundle of a newer image takes the place of the one that an older image brought. A bundle that
somebody activated stays. Which one was brought stands in the file `.shipped` of the model folder.
"""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp
from typing import Final

from app.domain.errors import BundleError, ModelNotFoundError, StorageError
from app.domain.training import Role
from app.inference.bundle import (
    active_version,
    flush,
    read_manifest,
    read_pointer,
    set_active,
)
from app.settings import Settings

SHIPPED: Final = ".shipped"
_DRAFT: Final = ".shipped-"
_STALE_SECONDS: Final = 3600.0


def make_volume_folders(settings: Settings) -> None:
    """Make the folders that a volume lacks.

    Raises:
        StorageError: If the volume can't be written; the message says by whom.
    """
    try:
        for folder in (settings.model_dir, settings.application_data_dir):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(settings.model_dir, error) from error
    _make_data_folders(settings.data_dir)


def fill_volume(settings: Settings, *, upgrade: bool) -> None:
    """Make what a volume lacks; without `FACETWIN_SHIPPED_MODEL_DIR` nothing.

    It may be called by many processes at once, and be ended at any point.

    Args:
        settings: Where the volume and the shipped bundle are.
        upgrade: Whether the shipped bundle may take the place of one that another image brought:
            for the process that serves this volume, and has made sure that no other does.

    Raises:
        ModelNotFoundError, BundleError: If the shipped folder holds no bundle.
        StorageError: If the volume can't be written; the message says by whom.
    """
    if settings.shipped_model_dir is None:
        return
    shipped, model_dir = settings.shipped_model_dir, settings.model_dir
    version = active_version(shipped)
    make_volume_folders(settings)
    try:
        before = _brought(model_dir)
        if not upgrade and before not in (None, version):
            return
        if upgrade:
            _sweep(model_dir)
        _bring_bundle(shipped / version, model_dir / version)
        if before != version or read_pointer(model_dir) is None:
            _activate(model_dir, version, before)
            _write_whole(model_dir / SHIPPED, version)
    except OSError as error:
        raise _unwritable(model_dir, error) from error


def shipped_versions(settings: Settings) -> frozenset[str]:
    """The bundles that belong to the installation: the one it ships, and the last one it brought.

    Raises:
        StorageError: If it can't be read which one was brought.
    """
    try:
        brought = _brought(settings.model_dir)
    except (OSError, UnicodeError) as error:
        raise StorageError(f"{settings.model_dir / SHIPPED} can't be read: {error}") from error
    shipped = settings.shipped_model_dir and read_pointer(settings.shipped_model_dir)
    return frozenset(version for version in (brought, shipped) if version)


def _brought(model_dir: Path) -> str | None:
    """The bundle that an image brought last; None if none ever did."""
    try:
        return (model_dir / SHIPPED).read_text("utf-8").strip()
    except FileNotFoundError:
        return None


def _activate(model_dir: Path, version: str, before: str | None) -> None:
    """Let the shipped bundle serve, unless another one is there by somebody's choice."""
    if read_pointer(model_dir) in (None, before):
        set_active(model_dir, version)


def _bring_bundle(source: Path, target: Path) -> None:
    """Copy a bundle, whole or not at all; of one that is there already, only what it lacks."""
    if not target.exists():
        draft = Path(mkdtemp(prefix=_DRAFT, dir=target.parent))
        try:
            _copy_missing(source, draft)
            # As the umask has it, not for this user alone.
            draft.chmod(source.stat().st_mode & 0o777 | 0o700)
            draft.rename(target)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            # Another process may have been first.
            if not target.exists():
                raise
        flush(target.parent)
    elif _is_same(source, target):
        # A volume of the image that only serves has no Keras network; one that trains needs it.
        _copy_missing(source, target)


def _sweep(model_dir: Path) -> None:
    """Remove what starts that were killed have left, but no copy that may be under way."""
    for draft in model_dir.glob(f"{_DRAFT}*"):
        with suppress(OSError):
            if time.time() - draft.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(draft)


def _is_same(source: Path, target: Path) -> bool:
    with suppress(BundleError, ModelNotFoundError):
        return read_manifest(source).checksum == read_manifest(target).checksum
    return False


def _copy_missing(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(exist_ok=True)
        elif not copy.exists():
            _write_whole(copy, path.read_bytes())


def _write_whole(path: Path, content: bytes | str) -> None:
    """Write a file durably, so that nobody ever sees a part of it."""
    draft = path.with_name(f".{path.name}.{token_hex(4)}")  # containers have one process id
    try:
        draft.write_bytes(content if isinstance(content, bytes) else f"{content}\n".encode())
        flush(draft)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _make_data_folders(data_dir: Path) -> None:
    """For the photos to train with; serving does without them."""
    with suppress(OSError):
        for role in Role:
            (data_dir / role.value).mkdir(parents=True, exist_ok=True)


def _unwritable(folder: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{error.filename or folder} can't be written: {error.strerror}. The volume has to be "
        f"writable for user {os.geteuid()} or group {os.getegid()}, and have room for the model."
    )
