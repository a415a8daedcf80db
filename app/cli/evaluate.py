"""`facetwin evaluate`: the bundle's accuracy, through the pipeline that serves."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import AsJson, DataDir, read_settings
from app.cli.output import print_json, print_line, print_table, progress_bar

if TYPE_CHECKING:
    from app.training.held_out import HeldOutRow

evaluate = typer.Typer(help="Measure the active bundle.", no_args_is_help=True)


@evaluate.command()
def lfw(
    data: DataDir,
    seed: Annotated[int, typer.Option(help="Of the million impostor pairs.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Labeled Faces in the Wild: View 2 and a million impostor pairs."""
    from app.training.lfw_report import evaluate_lfw

    settings = read_settings()
    with progress_bar("Embedding LFW") as progress:
        report = evaluate_lfw(
            settings.model_dir,
            data,
            seed=seed,
            threads=settings.inference_threads,
            progress=progress,
        )
    if as_json:
        print_json(report)
        return
    print_line(f"model {report.model.version}, face policy {report.face_policy}")
    print_table(("measure", report.face_policy, "prominent"), report.rows())


@evaluate.command()
def calibration(
    data: DataDir,
    seed: Annotated[int, typer.Option(help="Of the drawing of galleries.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Do the priced error rates hold on CelebA's test identities?"""
    from app.training.held_out import evaluate_held_out

    settings = read_settings()
    with progress_bar("Embedding CelebA") as progress:
        report = evaluate_held_out(
            settings.model_dir,
            data,
            seed=seed,
            threads=settings.inference_threads,
            progress=progress,
        )
    if as_json:
        print_json(report)
        return
    print_line(
        f"model {report.version}: {report.photos} photos of {report.identities} people, "
        f"{report.not_found} without a face, {report.inconclusive} inconclusive"
    )
    print_table(
        ("references", "max_fmr", "stated FMR", "observed FMR", "observed FNMR", "verdict"),
        [_held_out_cells(row) for row in report.rows],
    )


def _held_out_cells(row: "HeldOutRow") -> tuple[str, ...]:
    verdict = "inside" if row.inside else "consistent" if row.consistent else "off"
    return (
        row.bucket,
        f"{row.target_fmr:g}",
        _with_interval(row.stated_fmr, row.stated_interval),
        _with_interval(row.observed_fmr, row.observed_interval),
        f"{row.observed_fnmr:.3f}",
        verdict,
    )


def _with_interval(rate: float, interval: tuple[float, float]) -> str:
    return f"{rate:.2g} ({interval[0]:.2g} to {interval[1]:.2g})"
