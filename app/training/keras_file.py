"""A Keras network as the file `embedding.keras` of a bundle, and back."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from app.domain.errors import BundleError


def packed_keras(model: Any) -> bytes:
    """The model's file, packed; Keras itself stores without packing."""
    with TemporaryDirectory() as folder:
        stored, packed = Path(folder) / "embedding.keras", Path(folder) / "packed.keras"
        model.save(stored)
        with ZipFile(stored) as source, ZipFile(packed, "w", ZIP_DEFLATED) as target:
            for name in source.namelist():
                target.writestr(ZipInfo(name), source.read(name), ZIP_DEFLATED)
        return packed.read_bytes()


def load_keras(directory: Path, name: str | None) -> Any:
    """The Keras network of a bundle, opened in safe mode: no code comes with it.

    Args:
        directory: Of the bundle, whose checksums were verified.
        name: Of the file, as the manifest has it.

    Raises:
        BundleError: If the bundle has none, or it can't be opened.
    """
    import keras

    if name is None:
        raise BundleError(f"The bundle {directory.name} has no Keras network to train from.")
    try:
        return keras.models.load_model(directory / name, compile=False, safe_mode=True)
    except (OSError, TypeError, ValueError) as error:
        raise BundleError(f"{name} of {directory.name} can't be opened: {error}") from error
