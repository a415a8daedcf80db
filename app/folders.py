"""The folders of an installation."""

from pathlib import Path

from app.domain.errors import StorageError
from app.settings import Settings
from app.storage.database import Database


def make_folders(settings: Settings) -> None:
    """Make the folders that every process needs.

    Raises:
        StorageError: If one can't be made.
    """
    _make_folder(settings.application_data_dir)
    _make_folder(settings.input_dir)


def make_images_folder(settings: Settings, database: Database) -> None:
    """Make verification_images of a new gallery; one that has vanished is for its owner to find.

    Raises:
        StorageError: If it can't be made, or the database can't be read.
    """
    with database.read() as rows:
        is_new = not rows.counts()
    if is_new:
        _make_folder(settings.images_dir)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"The folder {folder} can't be made: {error.strerror}. Check "
            "FACETWIN_APPLICATION_DATA_DIR and its owner."
        ) from error
