"""Wide aligned faces and examination results on disk, so that no photo is detected twice."""

from collections.abc import Collection
from pathlib import Path


class CropCache:
    """Entries by sha256 of the photo and recipe (detector, template, margin).

    An entry appears whole or not at all; one that is damaged is made anew.

    Args:
        folder: Made when the first entry is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def forget(self, sha256s: Collection[str]) -> int:
        """Delete all entries of these photos, of every recipe; returns how many files went.

        Raises:
            StorageError: If one can't be deleted.
        """
        raise NotImplementedError

    @property
    def size(self) -> int:
        """Bytes on disk."""
        raise NotImplementedError
