"""Which keys what is stored is encrypted with."""

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Connection

from app.storage.cipher import UndecryptableError
from app.storage.encryption_rows import EncryptionRows
from app.storage.files import ReferenceFiles
from app.storage.photo_rewriter import PhotoRewriter


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found; None as a key counts what is plain.

    Attributes:
        registered: Check value by the id of each key that may be in use.
        embeddings: Count by key.
        photos: Count by key.
        damaged: Photos that are encrypted in a form that no key can read.
        unseen: References whose photo is missing or can't be read: their keys are not known.
    """

    registered: dict[str, bytes]
    embeddings: Counter[str | None]
    photos: Counter[str | None]
    damaged: int
    unseen: int

    @property
    def in_use(self) -> set[str]:
        """Keys without which something could not be read."""
        found = {key for key in (*self.embeddings, *self.photos) if key is not None}
        # Nobody knows what is encrypted with the keys of photos that can't be looked at.
        return found | set(self.registered) if self.unseen else found

    @property
    def has_plain(self) -> bool:
        """Whether anything is stored plain."""
        return bool(self.embeddings[None] or self.photos[None])


def survey(connection: Connection, files: ReferenceFiles) -> Survey:
    """Look at every embedding's key and every photo's head.

    Args:
        connection: A transaction; a write transaction keeps others from changing what is seen.
        files: Where the photos are.

    Raises:
        StorageError: If the folder can't be read.
    """
    rows = EncryptionRows(connection)
    references = rows.image_paths()
    paths = {file.path for file in files.scan().files} | set(files.staged()) | references
    reader = PhotoRewriter(files, None)
    photos: Counter[str | None] = Counter()
    damaged = unseen = 0
    for path in sorted(paths):
        try:
            photos[reader.key_of(path)] += 1
        except UndecryptableError:
            damaged += 1
        except OSError:
            unseen += path in references
    return Survey(rows.registered(), rows.vectors_by_key(), photos, damaged, unseen)
