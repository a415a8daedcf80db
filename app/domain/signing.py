"""The service's own key: signatures that only it can make, and pseudonyms only it can resolve."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

_PREFIX: Final = b"facetwin/v1/"
KEY_BYTES: Final = 32


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """The one way to write a JSON object that is signed: sorted names, no spaces, UTF-8."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


class ServiceKey:
    """HMAC-SHA256 under keys derived from one secret, one for each purpose.

    Args:
        secret: At least `KEY_BYTES` bytes.

    Raises:
        ValueError: If the secret is shorter.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < KEY_BYTES:
            raise ValueError(f"the service key has less than {KEY_BYTES} bytes")
        self._secret = secret
        self.key_id = self._mac("key-id", b"")[:16]
        """Names the key without telling anything about it; 16 hexadecimal digits."""

    def sign(self, purpose: str, document: Mapping[str, Any]) -> str:
        """Signature of a JSON object, 64 hexadecimal digits."""
        return self._mac(purpose, canonical_json(document))

    def verify(self, purpose: str, document: Mapping[str, Any], signature: str) -> bool:
        """Whether `sign` made the signature; compared in constant time."""
        return hmac.compare_digest(self.sign(purpose, document).encode(), signature.encode())

    def pseudonym(self, subject_key: str) -> str:
        """What stands for a person where the name must not: the same for the same person."""
        return self._mac("pseudonym", subject_key.encode())

    def _mac(self, purpose: str, data: bytes) -> str:
        derived = hmac.digest(self._secret, _PREFIX + purpose.encode(), hashlib.sha256)
        return hmac.digest(derived, data, hashlib.sha256).hex()
