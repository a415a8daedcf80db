"""`facetwin keys`: the API keys of a service. The model is not loaded."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from pydantic import BaseModel

from app.cli.options import AsJson, read_settings
from app.cli.output import print_json, print_line, print_note, print_table
from app.domain.access import Role
from app.runtime import audit_log
from app.services.keys import ApiKeys
from app.storage.database import Database
from app.storage.key_rows import KeyRecord

keys = typer.Typer(help="API keys; a running service notices changes.", no_args_is_help=True)


class KeyOut(BaseModel):
    """A key in a list."""

    key_id: str
    name: str
    role: Role
    created_at: str
    last_used_at: str | None
    revoked_at: str | None


class KeysOut(BaseModel):
    """All keys that were ever made."""

    keys: list[KeyOut]


class NewKeyOut(BaseModel):
    """A new key, shown this once."""

    key_id: str
    name: str
    role: Role
    key: str


@keys.command("create")
def create(
    role: Annotated[
        Role,
        typer.Option(
            help="verify: verify, compare, detect. enroll: also enroll and list people. "
            "admin: everything."
        ),
    ],
    name: Annotated[str, typer.Option(help="What it is for, for `facetwin keys list`.")],
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown now and never again."""
    with _opened_keys() as api_keys:
        new = api_keys.create(role, name)
    record = new.record
    if as_json:
        print_json(NewKeyOut(key_id=record.key_id, name=record.name, role=record.role, key=new.key))
        return
    print_note(f"The key {record.key_id} of the role {record.role.value}, shown only this once:")
    typer.echo(new.key)


@keys.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """All keys that were made here; those of FACETWIN_API_KEYS are not among them."""
    with _opened_keys() as api_keys:
        found = [_answer(key) for key in api_keys.list()]
    if as_json:
        print_json(KeysOut(keys=found))
        return
    print_table(
        ("key_id", "name", "role", "created (UTC)", "last used", "revoked"),
        [
            (
                k.key_id,
                k.name,
                k.role.value,
                *map(_minute, (k.created_at, k.last_used_at, k.revoked_at)),
            )
            for k in found
        ],
    )


@keys.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key_id, as `facetwin keys list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Make a key good for nothing. This can't be undone."""
    with _opened_keys() as api_keys:
        key = _answer(api_keys.revoke(key_id))
    if as_json:
        print_json(key)
    else:
        print_line(f"{key.key_id}: revoked at {key.revoked_at}")


@contextmanager
def _opened_keys() -> Iterator[ApiKeys]:
    settings = read_settings()
    database = Database(settings.database_url)
    try:
        database.migrate()
        yield ApiKeys(database, audit_log(settings, database))
    finally:
        database.close()


def _answer(key: KeyRecord) -> KeyOut:
    return KeyOut(
        key_id=key.key_id,
        name=key.name,
        role=key.role,
        created_at=key.created_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
    )


def _minute(at: str | None) -> str:
    return (at or "")[:16].replace("T", " ")
