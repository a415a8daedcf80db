"""`facetwin encryption`: the keys of the encryption at rest. The model is not loaded."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer
from pydantic import BaseModel

from app.cli.options import AsJson, read_settings
from app.cli.output import print_json, print_line, print_note, print_table
from app.domain.errors import InvalidRequestError, StorageError
from app.runtime import audit_log, cipher_of, encryption_at_rest
from app.services.encryption import EncryptionAtRest
from app.services.encryption_survey import Survey
from app.settings import Settings
from app.storage.cipher import Cipher, new_key
from app.storage.database import Database

encryption = typer.Typer(
    help="Encryption of photos and embeddings on the disk.", no_args_is_help=True
)
_PLAIN: Final = "plain"


class NewKeyOut(BaseModel):
    """A new key."""

    key: str


class KeyUseOut(BaseModel):
    """What is stored under one key; `key_id` is null for what is plain.

    Attributes:
        configured: Whether FACETWIN_ENCRYPTION_KEY holds the key.
        current: Whether it is the key that new photos and embeddings are encrypted with.
    """

    key_id: str | None
    photos: int
    embeddings: int
    configured: bool
    current: bool


class StatusOut(BaseModel):
    """What is stored under which key.

    Attributes:
        encrypted: Whether the gallery is encrypted, and so needs a key to start.
        complete: Whether everything is encrypted with the current key.
        damaged: Encrypted photos that no key can read.
        unseen: References whose photo is missing or can't be read.
    """

    encrypted: bool
    complete: bool
    keys: list[KeyUseOut]
    damaged: int
    unseen: int


@encryption.command("new-key")
def make_key(as_json: AsJson = False) -> None:
    """Print a new random key for FACETWIN_ENCRYPTION_KEY. It is stored nowhere."""
    key = new_key()
    if as_json:
        print_json(NewKeyOut(key=key))
        return
    print_note("Keep this key: without it the photos and embeddings are lost.")
    typer.echo(key)


@encryption.command("status")
def status(as_json: AsJson = False) -> None:
    """Which keys are in use, and how much is plain. Needs no key."""
    settings = read_settings()
    with _opened(settings) as at_rest:
        _print_status(_answer(at_rest.survey(), cipher_of(settings)), as_json=as_json)


@encryption.command("rotate")
def rotate(as_json: AsJson = False) -> None:
    """Encrypt everything with the first key of FACETWIN_ENCRYPTION_KEY=NEW,OLD."""
    settings = read_settings()
    cipher = cipher_of(settings)
    if cipher is None:
        raise InvalidRequestError(
            "Set FACETWIN_ENCRYPTION_KEY to the new key, followed by a comma and the old one."
        )
    with _opened(settings, cipher) as at_rest:
        answer = _answer(at_rest.rotate(), cipher)
    _print_status(answer, as_json=as_json)
    plain, *others = (k.photos + k.embeddings for k in reversed(answer.keys) if not k.current)
    if plain:
        print_note("What is plain is encrypted when the service next looks at it, if it is usable.")
    if any(others):
        raise StorageError(
            "Something still needs another key: it is damaged or can't be written. Keep that key "
            "after a comma; the log says more."
        )


@encryption.command("disable")
def disable(as_json: AsJson = False) -> None:
    """Store everything plain again. Needs the key, and the service stopped."""
    settings = read_settings()
    cipher = cipher_of(settings)
    with _opened(settings, cipher) as at_rest:
        at_rest.disable()
        answer = _answer(at_rest.survey(), None)
    if cipher is not None:
        print_note("Unset FACETWIN_ENCRYPTION_KEY now: with it, the next start encrypts again.")
    _print_status(answer, as_json=as_json)


@contextmanager
def _opened(settings: Settings, cipher: Cipher | None = None) -> Iterator[EncryptionAtRest]:
    if not settings.images_dir.is_dir():
        raise InvalidRequestError(
            f"{settings.images_dir} does not exist. Start the service once, or set "
            "FACETWIN_APPLICATION_DATA_DIR."
        )
    database = Database(settings.database_url, cipher)
    try:
        database.migrate()
        yield encryption_at_rest(settings, database, audit_log(settings, database))
    finally:
        database.close()


def _answer(found: Survey, cipher: Cipher | None) -> StatusOut:
    configured = cipher.key_ids if cipher else frozenset()
    current = cipher.key_id if cipher else None
    known = {*found.registered, *found.photos, *found.embeddings, *configured} - {None}
    keys = [
        KeyUseOut(
            key_id=key_id,
            photos=found.photos[key_id],
            embeddings=found.embeddings[key_id],
            configured=key_id in configured,
            current=key_id == current and key_id is not None,
        )
        for key_id in (*sorted(filter(None, known)), None)
    ]
    others = any((k.photos or k.embeddings) and not k.current for k in keys)
    return StatusOut(
        encrypted=bool(found.registered),
        complete=current is not None and not (others or found.damaged or found.unseen),
        keys=keys,
        damaged=found.damaged,
        unseen=found.unseen,
    )


def _print_status(answer: StatusOut, *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    print_line("[bold]encrypted[/bold]" if answer.encrypted else "[bold]not encrypted[/bold]")
    rows = [
        (key.key_id or _PLAIN, str(key.photos), str(key.embeddings), _role(key))
        for key in answer.keys
    ]
    print_table(("key_id", "photos", "embeddings", "FACETWIN_ENCRYPTION_KEY"), rows)
    if answer.damaged:
        print_line(f"{answer.damaged} photos are damaged and can't be decrypted with any key")
    if answer.unseen:
        print_line(f"{answer.unseen} references have no photo that can be read")


def _role(key: KeyUseOut) -> str:
    if key.key_id is None:
        return ""
    if not key.configured:
        return "missing"
    return "encrypts" if key.current else "decrypts"
