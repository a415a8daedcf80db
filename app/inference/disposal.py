"""Deleting a bundle, so that half of one is never seen."""

import shutil
from pathlib import Path
from typing import Final

from app.domain.errors import BundleError, StorageError
from app.inference.bundle import flush, read_pointer
from app.inference.bundle_lock import unused

_REMAINS: Final = ".deleted-"


def dispose(model_dir: Path, version: str) -> None:
    """Delete a bundle; in one rename it is not there any more.

    Raises:
        BundleError: If it is active, or a process uses it.
        ModelNotFoundError: If there is none.
        StorageError: If it can't be deleted.
    """
    directory = model_dir / version
    with unused(directory):
        # Whoever activates it holds it until the pointer is written.
        if read_pointer(model_dir) == version:
            raise BundleError(f"The model {version} is active.")
        remains = model_dir / f"{_REMAINS}{version}"
        try:
            shutil.rmtree(remains, ignore_errors=True)
            directory.rename(remains)
            flush(model_dir)
        except OSError as error:
            raise StorageError(
                f"The model {version} can't be deleted: {error.strerror}."
            ) from error
    shutil.rmtree(remains, ignore_errors=True)


def clear_remains(model_dir: Path) -> None:
    """Delete what an interruption has left."""
    for remains in model_dir.glob(f"{_REMAINS}*"):
        shutil.rmtree(remains, ignore_errors=True)
