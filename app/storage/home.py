"""The file in verification_images that says whose folder it is.

Where a disk is not mounted there is an empty folder, or another disk. Without a mark both look
like a gallery whose photos were deleted.
"""

import errno
import os
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from typing import Final

from sqlalchemy import select

from app.domain.errors import StorageError
from app.storage.database import Database
from app.storage.folders import opened_folder
from app.storage.layout import MARKER, file_errors
from app.storage.tables import GalleryState

_DRAFT: Final = MARKER + ".new"
_LONGEST: Final = 256


class Owner(Enum):
    """Whose folder it is, as its marker says."""

    OURS = auto()
    NOBODY = auto()
    """There is no marker, or the folder can't be read."""
    OTHER = auto()


class GalleryHome:
    """The folder verification_images of one database.

    Args:
        root: The folder.
        database: Migrated; it holds the gallery's id.
    """

    def __init__(self, root: Path, database: Database) -> None:
        self._root = root
        self._database = database
        self._known_id: str | None = None

    def owner(self) -> Owner:
        """Whose folder this is.

        Raises:
            StorageError: If the database can't be read.
        """
        try:
            content = self._read()
        except OSError:
            return Owner.NOBODY
        return Owner.OURS if content == self._gallery_id() else Owner.OTHER

    def claim(self) -> None:
        """Write the marker durably.

        Raises:
            StorageError: If it can't be written.
        """
        content = self._gallery_id().encode()
        with (
            file_errors("The folder verification_images can't be marked as this gallery's"),
            opened_folder(self._root) as folder,
        ):
            # What a crash left half written.
            with suppress(FileNotFoundError):
                os.unlink(_DRAFT, dir_fd=folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(_DRAFT, flags, 0o600, dir_fd=folder), "wb") as file:
                file.write(content + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(_DRAFT, MARKER, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)

    def check(self) -> None:
        """Refuse to change the folder if it is not this gallery's, or can't be changed.

        A photo would be written to the wrong disk, and a deletion would miss the files on the
        right one, which would come alive again with it.

        Raises:
            StorageError: The message says why.
        """
        with file_errors("Photos can't be stored or deleted now"):
            self._require_writable()
        owner = self.owner()
        if owner is not Owner.OURS:
            what = "carries no marker" if owner is Owner.NOBODY else "belongs to another gallery"
            raise StorageError(
                f"Photos can't be stored or deleted now: verification_images {what}. Mount the "
                "disk that holds the photos; /readyz and `facetwin sync` say more."
            )

    def is_writable(self) -> bool:
        """Whether files can be made and deleted in the folder."""
        try:
            self._require_writable()
        except OSError:
            return False
        return True

    def _require_writable(self) -> None:
        with opened_folder(self._root) as folder:
            if os.fstatvfs(folder).f_flag & os.ST_RDONLY:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            if not os.access(".", os.W_OK | os.X_OK, dir_fd=folder):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def _read(self) -> str:
        with opened_folder(self._root) as folder:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            with os.fdopen(os.open(MARKER, flags, dir_fd=folder), "rb") as file:
                return file.read(_LONGEST).decode("ascii", "replace").strip()

    def _gallery_id(self) -> str:
        if self._known_id is None:
            with self._database.read_apart() as connection:
                self._known_id = connection.scalars(select(GalleryState.gallery_id)).one() or ""
        return self._known_id
