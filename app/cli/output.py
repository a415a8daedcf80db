"""Tables and bars for people, JSON for machines."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

_out = Console()
_err = Console(stderr=True)

Advance = Callable[[int, int], None]


def print_error(message: str) -> None:
    """One sentence to standard error."""
    _err.print(f"[red]error:[/red] {escape(message)}", soft_wrap=True)


def print_note(message: str) -> None:
    """A remark to standard error, so that standard output stays clean for machines."""
    _err.print(escape(message), soft_wrap=True)


def error_console() -> Console:
    """Where remarks and bars go."""
    return _err


def print_json(answer: BaseModel) -> None:
    """An answer as the API gives it."""
    typer.echo(answer.model_dump_json(indent=2))


def print_line(markup: str) -> None:
    """A line with rich markup; escape what comes from outside."""
    _out.print(markup, soft_wrap=True)


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """A table; cells are shown as they are, on a narrow terminal in more lines, never cut."""
    columns = [Column(header, overflow="fold") for header in headers]
    table = Table(*columns, title=escape(title) or None, title_justify="left")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    _out.print(table)


@contextmanager
def progress_bar(description: str) -> Iterator[Advance]:
    """A bar on standard error; yields a function that takes (done, total)."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    hidden = not _err.is_terminal
    with Progress(*columns, console=_err, transient=True, disable=hidden) as progress:
        task = progress.add_task(description, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
