"""Brings the embeddings into the form that the gallery's key asks for, and checks them."""

import logging

from app.storage.cipher import Cipher, UndecryptableError
from app.storage.database import Database
from app.storage.encryption_rows import EncryptionRows, VectorRow, require_registered
from app.storage.vectors import VectorCodec

_START = ("", "")
_log = logging.getLogger("facetwin.encryption")


class VectorSealing:
    """Decrypts every embedding and encrypts those anew that are plain or under another key.

    An embedding that was damaged or altered is deleted: the next synchronisation computes it anew
    from the photo.

    Args:
        database: Its cipher decrypts.
        target: Encrypts; None for plain embeddings.
    """

    def __init__(self, database: Database, target: Cipher | None) -> None:
        self._database = database
        self._known_keys = database.cipher.key_ids if database.cipher else frozenset()
        self._source = VectorCodec(database.cipher)
        self._target = VectorCodec(target)
        self._renewed = 0
        self._dropped = 0

    def run(self) -> None:
        """Go through all embeddings, page by page.

        Raises:
            StorageError: If the database can't be used, or a key is not at hand.
        """
        place: tuple[str, str] | None = _START
        while place is not None:
            place = self._page(place)
        if self._renewed:
            _log.info("%d embeddings were encrypted or decrypted", self._renewed)
        if self._dropped:
            _log.error("%d embeddings were damaged; they are computed anew", self._dropped)

    def _page(self, start: tuple[str, str]) -> tuple[str, str] | None:
        """Bring one page into the form of the target; returns where the next one starts."""
        with self._database.read_apart() as connection:
            page = EncryptionRows(connection).vectors(start)
        if any(self._has_other_form(row) for row in page):
            with self._database.write_apart() as connection:
                if self._target.key_id is not None:
                    require_registered(connection, self._target.key_id)
                rows = EncryptionRows(connection)
                # Another process may have changed them since.
                page = rows.vectors(start)
                rows.put_vectors([new for row in page if (new := self._renewed_row(rows, row))])
        return page[-1].place if page else None

    def _has_other_form(self, row: VectorRow) -> bool:
        if row.key_id != self._target.key_id:
            return True
        try:
            self._source.decode(row.vector, row.key_id, *row.place)
        except UndecryptableError:
            return True
        return False

    def _renewed_row(self, rows: EncryptionRows, row: VectorRow) -> VectorRow | None:
        """The row in the form of the target; None if it has it, or was damaged and is deleted."""
        try:
            vector = self._source.decode(row.vector, row.key_id, *row.place)
        except UndecryptableError:
            if row.key_id not in self._known_keys:
                raise
            rows.drop_vector(row)
            self._dropped += 1
            return None
        if row.key_id == self._target.key_id:
            return None
        self._renewed += 1
        return VectorRow(*row.place, self._target.encode(vector, *row.place), self._target.key_id)
