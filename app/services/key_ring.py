"""The keys that a running service accepts."""

import hmac
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Final

from app.domain.access import Caller, Role
from app.domain.clock import utc_now
from app.domain.errors import StorageError
from app.services.keys import digest_of
from app.storage.database import Database
from app.storage.key_rows import KeyRecord, all_keys, note_uses

REFRESH_SECONDS: Final = 1.0
"""How long a look at the table is good for: a key that was revoked is refused after this."""

_NOTE_SECONDS: Final = 60.0
_log = logging.getLogger("facetwin.keys")


@dataclass(frozen=True, slots=True)
class _Entry:
    digest: bytes
    caller: Caller
    key_id: str | None


class KeyRing:
    """Knows the keys of the settings and of the table, and who is who.

    `identify` and the properties only look at memory. `refresh` and `note_uses` touch the database
    and belong on a thread, one call of each at a time.

    Args:
        configured: Role and key of each entry of FACETWIN_API_KEYS.
        database: Holds the table of keys.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        configured: Sequence[tuple[Role, str]],
        database: Database,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._fixed = tuple(
            _Entry(digest_of(key), _caller(f"env-{number}", role), None)
            for number, (role, key) in enumerate(configured, start=1)
        )
        self._database = database
        self._clock = clock
        self._entries = self._fixed
        self._any_row = False
        self._read_at = float("-inf")
        self._reading = Lock()
        self._uses: dict[str, str] = {}
        self._noted_at: dict[str, float] = {}

    @property
    def required(self) -> bool:
        """Whether callers need a key: any exists, or once existed.

        Revoking the last key must not open the door.
        """
        return bool(self._fixed) or self._any_row

    @property
    def usable(self) -> bool:
        """Whether some key opens."""
        return bool(self._entries)

    @property
    def is_due(self) -> bool:
        """Whether the last look at the table is too old."""
        return self._clock() - self._read_at >= REFRESH_SECONDS

    def identify(self, token: str) -> Caller | None:
        """Who presents this key, if it is one.

        Every digest is compared, each in constant time, so that the time tells neither how much
        of a key was right nor which one it is.
        """
        given = digest_of(token)
        found: _Entry | None = None
        for entry in self._entries:
            if hmac.compare_digest(given, entry.digest):
                found = entry
        if found is None:
            return None
        if found.key_id is not None:
            self._uses[found.key_id] = utc_now()
        return found.caller

    def load(self) -> None:
        """Read the table.

        Raises:
            StorageError: If it can't be read.
        """
        with self._database.read_apart() as connection:
            rows = all_keys(connection)
        self._entries = (*self._fixed, *(_entry(row) for row in rows if row.revoked_at is None))
        self._any_row = bool(rows)
        self._read_at = self._clock()

    def refresh(self) -> None:
        """Read the table if that is due.

        With a database that fails, the keys that were known stay good, and the log says so.
        """
        with self._reading:
            if not self.is_due:
                return
            try:
                self.load()
            except StorageError:
                self._read_at = self._clock()
                _log.exception("The API keys can't be read; those that are known stay good.")

    @property
    def has_uses(self) -> bool:
        """Whether a use waits that `note_uses` would write now."""
        return bool(self._due_uses(_NOTE_SECONDS))

    def note_uses(self) -> None:
        """Write when keys were last used, each at most once a minute; failure goes to the log."""
        self._note(self._due_uses(_NOTE_SECONDS))

    def close(self) -> None:
        """Write the last uses; failure goes to the log."""
        self._note(self._due_uses(0))

    def _due_uses(self, at_least: float) -> list[str]:
        now = self._clock()
        never = float("-inf")
        return [k for k in tuple(self._uses) if now - self._noted_at.get(k, never) >= at_least]

    def _note(self, key_ids: Sequence[str]) -> None:
        if not key_ids:
            return
        # Taken out first: a use during the write is a new one.
        uses = {key_id: self._uses.pop(key_id) for key_id in key_ids}
        self._noted_at.update(dict.fromkeys(key_ids, self._clock()))
        try:
            with self._database.write_apart() as connection:
                note_uses(connection, uses)
        except StorageError:
            _log.exception("The last uses of API keys can't be written.")


def _entry(row: KeyRecord) -> _Entry:
    return _Entry(bytes.fromhex(row.digest), _caller(row.key_id, row.role), row.key_id)


def _caller(key_id: str, role: Role) -> Caller:
    return Caller(f"key:{key_id}", role, sees_scores=role is Role.ADMIN)
