"""`facetwin data`: the photos that training would use."""

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape

from app.cli.options import AsJson, Subject, read_settings
from app.cli.output import Advance, print_json, print_line, print_table, progress_bar
from app.domain.errors import UnsupportedMediaTypeError
from app.domain.images import FOREIGN_SUFFIXES
from app.domain.subjects import DEFAULT_SUBJECT, subject_key
from app.domain.training import Preset, Stage
from app.settings import Settings

if TYPE_CHECKING:
    from app.training.data.report import DataReport, Problem, RejectedFile

data = typer.Typer(help="Photos for training.", no_args_is_help=True)

_UNUSABLE: Final = 3

_COLUMNS: Final = ("", "images", "faces", "usable", "distinct", "duplicates", "rejected")


@data.command()
def check(
    *,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of anchor/, positive/ and negative/. Default: FACETWIN_DATA_DIR.",
            file_okay=False,
        ),
    ] = None,
    subject: Subject = DEFAULT_SUBJECT,
    preset: Annotated[
        Preset, typer.Option(help="What would be trained; compact needs no owner.")
    ] = Preset.FINETUNE,
    as_json: AsJson = False,
) -> None:
    """Report what training would find in the photos, and what would make its result meaningless.

    What was found out about a photo is kept, so that nothing is looked at twice.
    """
    given = {} if data_dir is None else {"data_dir": data_dir}
    report = _checked(read_settings(**given), subject_key(subject), preset)
    if as_json:
        print_json(report)
    else:
        _print(report)
    if report.problems:
        raise typer.Exit(_UNUSABLE)


def _checked(settings: Settings, subject: str, preset: Preset) -> "DataReport":
    from app.inference.bundle import load_active
    from app.inference.decode import DecodeLimits
    from app.training.data.crops import CropCache
    from app.training.data.examine import examine
    from app.training.data.inspection import inspect
    from app.training.data.photos import left_out, read_photos

    bundle = load_active(settings.model_dir)
    crops = CropCache(settings.training_dir / "crops")
    limits = DecodeLimits(settings.max_image_bytes, settings.max_image_pixels)
    photos = read_photos(settings.data_dir, subject)
    with progress_bar("Looking at photos") as advance:
        examined = examine(
            photos,
            bundle,
            crops,
            threads=settings.training_threads,
            monitor=_Bar(advance),
            limits=limits,
        )
    report, _dataset = inspect(
        examined,
        bundle,
        crops,
        owner_needed=preset is not Preset.COMPACT,
        subject=subject,
        left_out=left_out(settings.data_dir, subject),
        limits=limits,
    )
    return report


class _Bar:
    """A job's monitor that only moves a bar."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance

    def stage(self, stage: Stage) -> None:
        """There is one bar for all."""

    def progress(
        self,
        done: int,
        total: int,
        *,
        what: str | None = None,  # noqa: ARG002 - the bar has its name
        epoch: int | None = None,  # noqa: ARG002
        loss: float | None = None,  # noqa: ARG002
    ) -> None:
        """Move it."""
        self._advance(done, total)

    def log(self, message: str) -> None:
        """The report says it all."""


def _print(report: "DataReport") -> None:
    print_line(f"model {escape(report.model)}")
    rows = [
        (
            f"{role.value}/",
            str(counts.images),
            str(counts.faces_found),
            str(counts.usable),
            str(counts.groups),
            str(counts.duplicates),
            ", ".join(f"{count} {code}" for code, count in counts.rejected.items()),
        )
        for role, counts in report.roles.items()
    ]
    print_table(_COLUMNS, rows)
    print_line(
        f"{report.owner_groups} distinct photos of the owner, {report.people} other people, "
        f"{report.people_with_two} of them with two distinct photos or more"
    )
    for file in report.rejected_files:
        reasons = ", ".join(file.reasons) + _advice(file)
        print_line(f"  rejected {escape(file.file)}: {reasons}")
    _print_findings("problem", "red", report.problems)
    _print_findings("warning", "yellow", report.warnings)
    if report.usable:
        print_line("[green]The photos can be trained on.[/green]")
    else:
        print_line("[red]Training would refuse these photos.[/red]")


def _advice(file: "RejectedFile") -> str:
    foreign = PurePosixPath(file.file).suffix.lower() in FOREIGN_SUFFIXES
    unread = UnsupportedMediaTypeError.code in file.reasons
    return " (convert it to JPEG)" if foreign and unread else ""


def _print_findings(kind: str, colour: str, findings: "list[Problem]") -> None:
    for finding in findings:
        told = f"{escape(finding.message)} [dim]({finding.code})[/dim]"
        print_line(f"[{colour}]{kind}:[/{colour}] {told}")
