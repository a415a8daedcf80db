"""`facetwin sync`: bring the gallery in line with the folder, and say what was found."""

from typing import Annotated

import typer
from pydantic import BaseModel
from rich.markup import escape

from app.api.answers import reasons_answer
from app.api.gallery_schemas import SkippedOut
from app.api.schemas import ProblemOut
from app.cli.options import AsJson, opened_runtime
from app.cli.output import print_json, print_line
from app.services.gallery import GalleryHealth, SyncReport

_NOT_DONE = 3


class SyncOut(BaseModel):
    """What a synchronisation did, and what keeps it from doing all."""

    added: int
    removed: int
    embedded: int
    unchanged: int
    unsettled: int
    skipped: list[SkippedOut]
    degraded: list[ProblemOut]


def sync(
    accept_removals: Annotated[
        bool,
        typer.Option(
            "--accept-removals",
            help="Confirm that more than half of the photos were deleted on purpose. Check first "
            "that the disk with the photos is mounted.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take up photos that were put into verification_images, and let go those that are gone.

    The service does so by itself while it runs, as does every other command.
    """
    with opened_runtime(accept_removals=accept_removals) as runtime:
        health = runtime.gallery.health()
    if as_json:
        print_json(_answer(health))
    else:
        _print(health.report)
    if health.degraded:
        raise typer.Exit(_NOT_DONE)


def _answer(health: GalleryHealth) -> SyncOut:
    report = health.report
    return SyncOut(
        added=report.added,
        removed=report.removed,
        embedded=report.embedded,
        unchanged=report.unchanged,
        unsettled=report.unsettled,
        skipped=[
            SkippedOut(path=file.path, reasons=reasons_answer(file.reasons))
            for file in report.skipped
        ],
        degraded=[ProblemOut.model_validate(problem) for problem in health.degraded],
    )


def _print(report: SyncReport) -> None:
    print_line(
        f"{report.added} added, {report.removed} removed, {report.embedded} embedded, "
        f"{report.unchanged} unchanged"
    )
    if report.unsettled:
        print_line(f"{report.unsettled} photos are still being written; the next look takes them")
    for file in report.skipped:
        for reason in file.reasons:
            print_line(
                f"  [yellow]skipped[/yellow] {escape(file.path)}: {reason.code.value} "
                f"{escape(reason.message)}"
            )
