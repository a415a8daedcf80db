"""Rows of `api_keys`, on the connection of a transaction."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from app.domain.access import Role
from app.storage.tables import ApiKey


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key without the key itself.

    Attributes:
        key_id: Names it in lists and logs.
        name: What its owner called it.
        digest: sha256 of the whole key, hexadecimal.
        created_at, last_used_at, revoked_at: ISO 8601, UTC.
    """

    key_id: str
    name: str
    role: Role
    digest: str
    created_at: str
    last_used_at: str | None = None
    revoked_at: str | None = None


def all_keys(connection: Connection) -> tuple[KeyRecord, ...]:
    """Every key that was ever made, the oldest first."""
    rows = connection.execute(select(ApiKey.__table__).order_by(ApiKey.created_at, ApiKey.key_id))
    return tuple(
        KeyRecord(
            row.key_id,
            row.name,
            Role(row.role),
            row.digest,
            row.created_at,
            row.last_used_at,
            row.revoked_at,
        )
        for row in rows
    )


def add_key(connection: Connection, key: KeyRecord) -> None:
    """Store a new key."""
    connection.execute(
        insert(ApiKey).values(
            key_id=key.key_id,
            name=key.name,
            role=key.role.value,
            digest=key.digest,
            created_at=key.created_at,
        )
    )


def revoke_key(connection: Connection, key_id: str, at: str) -> bool:
    """Mark a key as revoked. Returns False if there is none, or it was revoked before."""
    changed = connection.execute(
        update(ApiKey)
        .where(ApiKey.key_id == key_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=at)
    )
    return changed.rowcount > 0


def note_uses(connection: Connection, uses: Mapping[str, str]) -> None:
    """Store when keys were last used, by key_id."""
    for key_id, at in uses.items():
        connection.execute(update(ApiKey).where(ApiKey.key_id == key_id).values(last_used_at=at))
