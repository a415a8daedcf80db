"""API keys: made here, shown once, kept as digests."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from app.domain.access import Role
from app.domain.audit import COMMAND, Action, AuditEvent
from app.domain.clock import utc_now
from app.domain.errors import InvalidRequestError
from app.services.audit import AuditLog
from app.storage.database import Database
from app.storage.key_rows import KeyRecord, add_key, all_keys, revoke_key

_PREFIX: Final = "ftw"
"""Lets scanners of repositories and logs recognise a key."""

_KEY_ID_BYTES: Final = 4
_SECRET_BYTES: Final = 32
_MAX_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made; `key` is shown once and stored nowhere."""

    record: KeyRecord
    key: str


class ApiKeys:
    """The keys that were made with `facetwin keys create`."""

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    def create(self, role: Role, name: str) -> NewKey:
        """Make a key.

        Args:
            role: What it is good for.
            name: For the lists of its owner, 1 to 64 printable characters.

        Raises:
            InvalidRequestError: If the name is empty, too long or not printable.
            StorageError: If it can't be stored; then it is good for nothing.
        """
        name = name.strip()
        if not 0 < len(name) <= _MAX_NAME or not name.isprintable():
            raise InvalidRequestError(
                f"Give the key a name of 1 to {_MAX_NAME} printable characters."
            )
        key_id = secrets.token_hex(_KEY_ID_BYTES)
        key = f"{_PREFIX}_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        record = KeyRecord(key_id, name, role, digest_of(key).hex(), utc_now())
        with self._database.write_apart() as connection:
            add_key(connection, record)
            self._log(connection, Action.CREATE_KEY, record)
        return NewKey(record, key)

    def list(self) -> Sequence[KeyRecord]:
        """Every key, revoked ones too, the oldest first.

        Raises:
            StorageError: If the database can't be read.
        """
        with self._database.read_apart() as connection:
            return all_keys(connection)

    def revoke(self, key_id: str) -> KeyRecord:
        """Make a key good for nothing; running services notice within a second or two.

        Raises:
            InvalidRequestError: If there is no such key.
            StorageError: If the database can't be written; then the key is as good as before.
        """
        with self._database.write_apart() as connection:
            changed = revoke_key(connection, key_id, utc_now())
            found = [key for key in all_keys(connection) if key.key_id == key_id]
            if changed:
                self._log(connection, Action.REVOKE_KEY, found[0])
        if not found:
            raise InvalidRequestError(
                f"There is no key {key_id!r}. `facetwin keys list` shows the key_id of each."
            )
        return found[0]

    def _log(self, connection: Connection, action: Action, key: KeyRecord) -> None:
        details = {"key": key.key_id, "role": key.role.value}
        self._audit.append(connection, AuditEvent(action, COMMAND, details=details))


def digest_of(key: str) -> bytes:
    """What is stored of a key and compared: its sha256.

    The keys are 256 random bits, so that nothing slower than a hash is needed against guessing.
    """
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
