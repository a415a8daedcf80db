"""Embeddings as they stand in the database: plain without a key, encrypted with one."""

from typing import Final

from app.domain.entities import Floats
from app.storage.cipher import Cipher, UndecryptableError, unknown_key
from app.storage.json_values import vector_from_bytes, vector_to_bytes

_CONTEXT: Final = "facetwin embedding"
_UNREADABLE: Final = "An embedding can't be read. "
_ADVICE: Final = " The next synchronisation computes it anew."


class DamagedError(UndecryptableError):
    """An embedding was damaged or altered; its key is at hand."""


class VectorCodec:
    """Encodes under the first key of `cipher`; decodes plain vectors and those of any of its keys.

    An encrypted vector is bound to its image and fingerprint, so rows can't be exchanged.
    """

    def __init__(self, cipher: Cipher | None) -> None:
        self._cipher = cipher

    @property
    def key_id(self) -> str | None:
        """Of the key that encrypts; None if vectors are stored plain."""
        return self._cipher.key_id if self._cipher else None

    def encode(self, vector: Floats, image_id: str, fingerprint: str) -> bytes:
        """The column `vector`, to be stored with `key_id`."""
        data = vector_to_bytes(vector)
        if self._cipher is None:
            return data
        return self._cipher.encrypt(data, _context(image_id, fingerprint))

    def decode(self, data: bytes, key_id: str | None, image_id: str, fingerprint: str) -> Floats:
        """The inverse of `encode`.

        Raises:
            DamagedError: If the row was damaged or altered.
            UndecryptableError: If the key is not at hand.
        """
        if key_id is None:
            return _plain(data)
        if self._cipher is None:
            raise UndecryptableError(_UNREADABLE + unknown_key(key_id).message)
        try:
            return vector_from_bytes(
                self._cipher.decrypt(key_id, data, _context(image_id, fingerprint))
            )
        except UndecryptableError as error:
            if key_id not in self._cipher.key_ids:
                raise UndecryptableError(_UNREADABLE + error.message) from None
            raise DamagedError(_UNREADABLE + error.message + _ADVICE) from None


def _plain(data: bytes) -> Floats:
    try:
        return vector_from_bytes(data)
    except ValueError:
        raise DamagedError(_UNREADABLE + "A part of it is missing." + _ADVICE) from None


def _context(image_id: str, fingerprint: str) -> bytes:
    return f"{_CONTEXT}\0{image_id}\0{fingerprint}".encode()
