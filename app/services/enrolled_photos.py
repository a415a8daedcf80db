"""The gallery's photos for the regression test of a new bundle."""

from collections.abc import Iterator
from typing import Final

import structlog

from app.domain.errors import StorageError
from app.domain.training import EnrolledPhoto
from app.storage.database import Database
from app.storage.files import ReferenceFiles
from app.storage.records import ImageRecord, SubjectRecord

_LEAST: Final = 2
"""One photo of a person has nothing of that person to be compared with."""
_ANY: Final = ""
"""The fingerprint of no bundle: images are listed, whatever they are embedded under."""

_log = structlog.stdlib.get_logger("facetwin.worker")


class GalleryPhotos:
    """Reads references, decrypted if need be; implements `app.domain.training.EnrolledPhotos`.

    Args:
        database: With the cipher of the gallery, if it is encrypted.
        files: The folder verification_images.
    """

    def __init__(self, database: Database, files: ReferenceFiles) -> None:
        self._database = database
        self._files = files

    def __call__(self) -> Iterator[EnrolledPhoto]:
        """References of all subjects with two or more that can be read, subject by subject.

        Raises:
            StorageError: If the database can't be read.
        """
        with self._database.read() as rows:
            subjects = rows.subjects()
        for subject in subjects:
            found = [self._read(subject, image) for image in self._images(subject)]
            photos = [photo for photo in found if photo is not None]
            if len(photos) >= _LEAST:
                yield from photos

    def _images(self, subject: SubjectRecord) -> list[ImageRecord]:
        # A transaction for each: one that lasts would keep deleted people in the database's log.
        with self._database.read() as rows:
            return [image for image, _ in rows.images(subject.id, _ANY)]

    def _read(self, subject: SubjectRecord, image: ImageRecord) -> EnrolledPhoto | None:
        try:
            data = self._files.content(image.path)
        except (OSError, StorageError) as error:
            _log.warning("reference_left_out", image_id=image.image_id, error=type(error).__name__)
            return None
        return EnrolledPhoto(subject.name, data, image.face_policy)
