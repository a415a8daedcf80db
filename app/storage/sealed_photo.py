"""The file format of an encrypted photo.

`magic, version, key_id (8 bytes), nonce (12), ciphertext, tag (16)`. What stands before the nonce
is authenticated. The path is not: an encrypted photo may be copied and renamed like any other.
"""

from typing import Final

from app.storage.cipher import OVERHEAD, Cipher, UndecryptableError, unknown_key

_MAGIC: Final = b"FTWSEAL\n"
"""The start of no image format."""
_VERSION: Final = 1
HEADER_BYTES: Final = len(_MAGIC) + 1 + 8
SEAL_BYTES: Final = HEADER_BYTES + OVERHEAD
"""Bytes by which an encrypted photo is longer than its content."""
_CONTEXT: Final = b"facetwin photo\0"


def is_sealed(data: bytes) -> bool:
    """Whether a file that starts like this is an encrypted photo."""
    return data.startswith(_MAGIC)


def sealing_key(data: bytes) -> str | None:
    """Id of the key that a file which starts like this is encrypted with; None if with none.

    Raises:
        UndecryptableError: If a newer version of the package wrote it, or it is cut off.
    """
    if not is_sealed(data):
        return None
    if len(data) < HEADER_BYTES:
        raise UndecryptableError("It can't be decrypted: a part of it is missing.")
    if data[len(_MAGIC)] != _VERSION:
        raise UndecryptableError("It was encrypted by another version of Facetwin.")
    return data[len(_MAGIC) + 1 : HEADER_BYTES].hex()


def seal(cipher: Cipher, content: bytes) -> bytes:
    """A photo as the encrypted file that is stored."""
    header = _MAGIC + bytes([_VERSION]) + bytes.fromhex(cipher.key_id)
    return header + cipher.encrypt(content, _CONTEXT + header)


def unseal(cipher: Cipher | None, data: bytes) -> bytes:
    """The content of a photo's file, encrypted or not.

    Raises:
        UndecryptableError: If it is encrypted and can't be decrypted.
    """
    key_id = sealing_key(data)
    if key_id is None:
        return data
    if cipher is None:
        raise unknown_key(key_id)
    return cipher.decrypt(key_id, data[HEADER_BYTES:], _CONTEXT + data[:HEADER_BYTES])
