"""Turns the encryption at rest on, to another key, and off; a crash at any point is made up for.

A key is registered in the database before anything is encrypted with it, and leaves once nothing is
any more. Between the two, everything that is plain or under another key is rewritten piece by
piece: after a crash the next start, with the same keys, goes on where it was. Every write
transaction refuses to write under a key that is not registered (`require_registered`), so a
process that was started with older keys can't bring them back.

A server that does not know a new key could not read what is written under it. So a new key is
registered, and an old one dropped, only while no other process serves the gallery.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress

from sqlalchemy import Connection

from app.domain.audit import SERVICE, Action, Actor, AuditEvent
from app.domain.clock import utc_now
from app.domain.errors import StorageError
from app.services.audit import AuditLog
from app.services.encryption_survey import Survey, survey
from app.services.photo_sealing import PhotoSealing
from app.services.vector_sealing import VectorSealing
from app.storage.cipher import Cipher
from app.storage.database import Database
from app.storage.encryption_rows import EncryptionRows
from app.storage.files import ReferenceFiles

_ENCRYPTED = (
    "This gallery is encrypted. Set FACETWIN_ENCRYPTION_KEY to the key {keys} and start again."
)
_WRONG_KEY = (
    "FACETWIN_ENCRYPTION_KEY is not the key of this gallery (it needs the key {keys}). While keys "
    "are changed, set the new one first and the old one after a comma."
)
_DAMAGED_CHECK = (
    "FACETWIN_ENCRYPTION_KEY can't be checked: the database's record of the key {keys} is damaged. "
    "Restore the database from a backup."
)
_SERVED = (
    "A new key is brought in only while no server runs that may not know it. {cause} Or restart "
    "the server with FACETWIN_ENCRYPTION_KEY=NEW,OLD (without OLD if the gallery is not encrypted "
    "yet): it encrypts everything at its start."
)
_SERVED_PLAIN = "Encryption is turned off only while no server runs. {cause}"


class EncryptionAtRest:
    """Prepares a gallery for the keys of a process.

    Args:
        database: Migrated, with the cipher of the process.
        files: With the same cipher.
        audit: Tells when a key came and went.
        unserved: Enters only while no other process serves the gallery, else raises StorageError;
            a server, which holds that lock, passes `nullcontext`.
        actor: Who changes keys.
    """

    def __init__(
        self,
        database: Database,
        files: ReferenceFiles,
        audit: AuditLog,
        unserved: Callable[[], AbstractContextManager[object]],
        actor: Actor = SERVICE,
    ) -> None:
        self._database = database
        self._files = files
        self._audit = audit
        self._unserved = unserved
        self._actor = actor

    def prepare(self) -> None:
        """Check the keys, register a new one, and bring all embeddings under it.

        Raises:
            StorageError: If a key that the gallery needs is not at hand, or a server runs that
                does not know a new one.
        """
        with self._database.read_apart() as connection:
            registered = EncryptionRows(connection).registered()
        cipher = self._database.cipher
        if cipher is None:
            if registered:
                raise StorageError(_ENCRYPTED.format(keys=", ".join(sorted(registered))))
            return
        self._require_keys()
        if cipher.key_id not in registered:
            self._register(cipher)
        VectorSealing(self._database, cipher).run()

    def finish(self) -> None:
        """Drop keys that nothing is encrypted with any more, after the photos were rewritten.

        Raises:
            StorageError: If database or folder can't be used.
        """
        if self._database.cipher is None:
            return
        with self._database.read_apart() as connection:
            registered = EncryptionRows(connection).registered()
        if len(registered) > 1:
            # A server that runs may still write under the old key: its next start drops that.
            with suppress(_ServedError), self._exclusive(""):
                self._retire(keep={self._database.cipher.key_id})
        # The log may still hold what was plain, also from before a crash.
        self._database.erase_traces()

    def rotate(self) -> Survey:
        """Bring everything under the first key, without a synchronisation of the folder.

        Returns:
            What is stored under which key now.

        Raises:
            StorageError: As `prepare` does, and if no key is set.
        """
        cipher = self._database.cipher
        if cipher is None:
            raise StorageError(
                "Set FACETWIN_ENCRYPTION_KEY to the new key, followed by a comma and the old one."
            )
        self.prepare()
        PhotoSealing(self._database, self._files, cipher).run()
        self.finish()
        return self.survey()

    def disable(self) -> None:
        """Store everything plain again, and drop all keys.

        Raises:
            StorageError: If a server runs, a key is missing or something can't be decrypted; what
                is encrypted until then stays so, and the keys stay needed.
        """
        with self._exclusive(_SERVED_PLAIN):
            self._require_keys()
            VectorSealing(self._database, None).run()
            PhotoSealing(self._database, self._files, None).run()
            left = self._retire(keep=set())
        self._database.erase_traces()
        if left:
            raise StorageError(
                f"{left} photos or embeddings are still encrypted: they can't be decrypted or "
                "written, or were stored meanwhile. See `facetwin encryption status`, delete or "
                "repair them and try again. Until then the keys are needed."
            )

    def survey(self) -> Survey:
        """What is stored under which key.

        Raises:
            StorageError: If database or folder can't be used.
        """
        with self._database.read_apart() as connection:
            return survey(connection, self._files)

    def _require_keys(self) -> None:
        """Refuse to go on without a key that is in use, or with one that is another's."""
        found = self.survey()
        cipher = self._database.cipher
        at_hand = cipher.key_ids if cipher else frozenset()
        # A photo under a foreign key may have been copied into the folder: it is only skipped.
        theirs = set(found.registered) | {key for key in found.embeddings if key is not None}
        missing = (theirs & found.in_use) - at_hand
        if missing:
            message = _WRONG_KEY if cipher else _ENCRYPTED
            raise StorageError(message.format(keys=", ".join(sorted(missing))))
        if cipher is not None:
            for key_id in sorted(at_hand & set(found.registered)):
                if not cipher.proves(key_id, found.registered[key_id]):
                    raise StorageError(_DAMAGED_CHECK.format(keys=key_id))

    def _register(self, cipher: Cipher) -> None:
        with self._exclusive(_SERVED), self._database.write_apart() as connection:
            rows = EncryptionRows(connection)
            if cipher.key_id not in rows.registered():
                rows.register(cipher.key_id, cipher.check_value(), utc_now())
                self._log(connection, "registered", [cipher.key_id])

    def _log(self, connection: Connection, outcome: str, key_ids: Sequence[str]) -> None:
        for key_id in key_ids:
            details = {"encryption_key": key_id}
            event = AuditEvent(Action.CHANGE_ENCRYPTION, self._actor, None, outcome, details)
            self._audit.append(connection, event)

    @contextmanager
    def _exclusive(self, message: str) -> Iterator[None]:
        """Hold the serving lock; raises with `message` if a server has it."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self._unserved())
            except StorageError as error:
                raise _ServedError(message.format(cause=error.message)) from error
            yield

    def _retire(self, keep: set[str]) -> int:
        """Drop unused keys but `keep`; returns how many photos and embeddings are under others."""
        # Others write in write transactions only, so nothing comes under a key that is dropped.
        with self._database.write_apart() as connection:
            found = survey(connection, self._files)
            unused = set(found.registered) - keep - found.in_use
            EncryptionRows(connection).unregister(unused)
            self._log(connection, "dropped", sorted(unused))
        others = (*found.embeddings.items(), *found.photos.items())
        return sum(count for key, count in others if key is not None and key not in keep)


class _ServedError(StorageError):
    """Another process serves the gallery."""
