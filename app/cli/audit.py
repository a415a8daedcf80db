"""`facetwin audit`: the log of who did what, and the receipts of erasures."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.markup import escape

from app.cli.options import AsJson, read_settings
from app.cli.output import print_error, print_json, print_line, print_note
from app.domain.audit import AuditEntry
from app.domain.errors import InvalidRequestError
from app.domain.receipts import receipt_is_genuine
from app.domain.subjects import subject_key
from app.runtime import open_audit
from app.services.audit import AuditLog
from app.storage.service_key import SERVICE_KEY_FILE, make_service_key

audit = typer.Typer(help="Who did what, and receipts of erasures.", no_args_is_help=True)


class EntryOut(BaseModel):
    """An entry of the log."""

    seq: int
    at: str
    actor: str
    action: str
    subject: str | None
    outcome: str | None
    details: dict[str, Any]
    hash: str


class EntriesOut(BaseModel):
    """Entries, oldest first."""

    entries: list[EntryOut]


class ChainOut(BaseModel):
    """Result of checking the chain."""

    ok: bool
    entries: int
    head: str
    problem: str | None


class ReceiptCheckOut(BaseModel):
    """Result of checking a receipt."""

    genuine: bool


@audit.command("tail")
def tail(
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many entries.")] = 20,
    subject: Annotated[
        str | None, typer.Option(help="Only entries about this person (also one who was erased).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The newest entries, the last one at the bottom."""
    with _opened() as log:
        pseudonym = None if subject is None else log.pseudonym(subject_key(subject))
        entries = log.tail(count, pseudonym)
    if as_json:
        print_json(EntriesOut(entries=[EntryOut(**_fields(entry)) for entry in entries]))
        return
    for entry in entries:
        who = f" {entry.subject[:12]}" if entry.subject else ""
        what = f"{entry.action} {entry.outcome or ''}".rstrip()
        print_line(escape(f"{entry.seq} {entry.at} {entry.actor} {what}{who} {_words(entry)}"))


@audit.command("verify")
def verify(
    contains: Annotated[
        str | None,
        typer.Option(help="Also require the entry of this hash, noted earlier or in a receipt."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that no entry was changed, removed or put in."""
    with _opened() as log:
        report = log.verify(contains)
    if as_json:
        print_json(
            ChainOut(ok=report.ok, entries=report.entries, head=report.head, problem=report.problem)
        )
    elif report.ok:
        print_line(f"{report.entries} entries, unbroken. The newest one is {report.head}")
    else:
        print_error(f"After {report.entries} good entries: {report.problem}")
    if not report.ok:
        raise typer.Exit(3)


@audit.command("receipt")
def receipt(
    path: Annotated[Path, typer.Argument(help="A receipt, or the answer that held it, as JSON.")],
    as_json: AsJson = False,
) -> None:
    """Check that this service signed a receipt, and that nobody changed it since."""
    document = _receipt(path)
    with _opened() as log:
        genuine = receipt_is_genuine(document, log.key)
        is_ours = document.get("key_id") == log.key.key_id
    if as_json:
        print_json(ReceiptCheckOut(genuine=genuine))
    elif genuine:
        print_line("The receipt is genuine.")
    else:
        print_error(
            "The receipt was changed since it was signed."
            if is_ours
            else "The receipt was signed with another service key than this service has now."
        )
    if not genuine:
        raise typer.Exit(3)


@audit.command("renew-key")
def renew_key() -> None:
    """Make a new service key after the old one was lost. Older entries can't be checked then."""
    settings = read_settings()
    if settings.service_key is not None:
        raise InvalidRequestError("The key is set by FACETWIN_SERVICE_KEY; change it there.")
    make_service_key(settings.application_data_dir)
    print_note(f"{settings.application_data_dir / SERVICE_KEY_FILE} is there. Keep a copy of it.")


@contextmanager
def _opened() -> Iterator[AuditLog]:
    with open_audit(read_settings()) as log:
        yield log


def _receipt(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InvalidRequestError(f"{path} can't be read: {error.strerror}.") from None
    except ValueError:
        raise InvalidRequestError(f"{path} holds no JSON.") from None
    if isinstance(document, dict) and isinstance(document.get("receipt"), dict):
        document = document["receipt"]
    if not isinstance(document, dict):
        raise InvalidRequestError(f"{path} holds no receipt.")
    return document


def _fields(entry: AuditEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in EntryOut.model_fields}


def _words(entry: AuditEntry) -> str:
    return " ".join(f"{name}={value}" for name, value in entry.details.items() if value is not None)
