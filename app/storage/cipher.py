"""Encryption at rest: AES-256-GCM under the keys of FACETWIN_ENCRYPTION_KEY.

The first key encrypts, all decrypt. Each message has a random nonce of 96 bits, so one key is good
for 2**32 messages. `context` is authenticated with a message but not stored: what was encrypted
for one place can't be decrypted in another.
"""

import binascii
import os
import secrets
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from app.domain.errors import StorageError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
OVERHEAD: Final = NONCE_BYTES + TAG_BYTES
"""Bytes by which a message is longer than its content."""
_ID_DOMAIN: Final = b"facetwin encryption key id\0"
_CHECK_CONTEXT: Final = b"facetwin encryption key check\0"
_CHECK_CONTENT: Final = b"This is the key of a Facetwin gallery."
_MALFORMED: Final = (
    "FACETWIN_ENCRYPTION_KEY is not a key as `facetwin encryption new-key` prints it. Several are "
    "separated by commas."
)


class UndecryptableError(StorageError):
    """The key is not at hand, or the message was damaged or altered."""


class Cipher:
    """Encrypts and decrypts; safe to use from many threads.

    Args:
        keys: 32 bytes each, at least one; the first one encrypts.

    Attributes:
        key_id: Of the key that encrypts.
        key_ids: Of all keys.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        # Loading the library takes 60 ms, which a gallery without encryption is spared.
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        self._refused: type[Exception] = InvalidTag
        self._ciphers: dict[str, Any] = {key_id_of(key): AESGCM(key) for key in keys}
        self.key_ids = frozenset(self._ciphers)
        self.key_id = key_id_of(keys[0])

    def encrypt(self, content: bytes, context: bytes) -> bytes:
        """Nonce, ciphertext and tag under the key `key_id`."""
        nonce = os.urandom(NONCE_BYTES)
        sealed: bytes = self._ciphers[self.key_id].encrypt(nonce, content, context)
        return nonce + sealed

    def decrypt(self, key_id: str, message: bytes, context: bytes) -> bytes:
        """The inverse of `encrypt`.

        Raises:
            UndecryptableError: If the key is not at hand, or the message or its context is not
                what was encrypted.
        """
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise unknown_key(key_id)
        if len(message) < OVERHEAD:
            raise UndecryptableError("It can't be decrypted: a part of it is missing.")
        try:
            content: bytes = cipher.decrypt(message[:NONCE_BYTES], message[NONCE_BYTES:], context)
        except self._refused:
            raise UndecryptableError(
                "It can't be decrypted: it was damaged or altered after it was encrypted."
            ) from None
        return content

    def check_value(self) -> bytes:
        """What proves later that a key is the one of today: a known text under `key_id`."""
        return self.encrypt(_CHECK_CONTENT, _CHECK_CONTEXT + self.key_id.encode())

    def proves(self, key_id: str, check_value: bytes) -> bool:
        """Whether `check_value` was made by the key of this id, which must be at hand."""
        try:
            content = self.decrypt(key_id, check_value, _CHECK_CONTEXT + key_id.encode())
        except UndecryptableError:
            return False
        return content == _CHECK_CONTENT


def key_id_of(key: bytes) -> str:
    """16 hex digits that name a key and tell nothing about it."""
    return sha256(_ID_DOMAIN + key).hexdigest()[:16]


def new_key() -> str:
    """A random key as the setting takes it."""
    return urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).rstrip(b"=").decode()


def read_cipher(setting: str | None) -> Cipher | None:
    """The cipher of the setting encryption_key; None without one.

    Raises:
        StorageError: If a key is malformed; the message never repeats it.
    """
    if setting is None:
        return None
    keys = [_key(text.strip()) for text in setting.split(",")]
    return Cipher(keys)


def unknown_key(key_id: str) -> UndecryptableError:
    """The error for something under a key that is not at hand."""
    return UndecryptableError(
        f"It is encrypted with the key {key_id}, which FACETWIN_ENCRYPTION_KEY does not hold."
    )


def _key(text: str) -> bytes:
    padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
    try:
        key = b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise StorageError(_MALFORMED) from None
    if len(key) != KEY_BYTES:
        raise StorageError(_MALFORMED)
    return key
