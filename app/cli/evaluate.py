"""`facetwin evaluate`: the bundle's accuracy, through the pipeline that serves."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import AsJson, DataDir, Faces, read_settings
from app.cli.output import print_json, print_line, print_note, print_table, progress_bar
from app.settings import Settings

if TYPE_CHECKING:
    from app.domain.ports import FacePipeline
    from app.training.evaluation.sections import FailureSection, ModelSection
    from app.training.held_out import HeldOutRow

evaluate = typer.Typer(help="Measure the active bundle.", no_args_is_help=True)

Plots = Annotated[
    Path | None,
    typer.Option(help="Folder for roc.svg and det.svg (extra `plots`).", file_okay=False),
]
PeopleDir = Annotated[
    Path,
    typer.Option("--data", help="Folder of one folder per person.", exists=True, file_okay=False),
]
Seed = Annotated[int, typer.Option(help="Of all that is drawn at random.", min=0)]

_BOTH_WAYS = ("measure", "failures are errors", "usable photos only")


@evaluate.command()
def lfw(
    *,
    data: DataDir,
    seed: Annotated[int, typer.Option(help="Of the million impostor pairs.", min=0)] = 1,
    plots: Plots = None,
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
            plots=plots,
            progress=progress,
        )
    if as_json:
        print_json(report)
        return
    print_line(f"model {report.model.version}, face policy {report.face_policy}")
    print_table(("measure", report.face_policy, "prominent"), report.rows())
    _print_remarks([f"invalid image: {name}" for name in report.failures.invalid], report.plots)


@evaluate.command()
def folder(
    *,
    data: PeopleDir,
    pairs_per_identity: Annotated[
        int, typer.Option(help="Most genuine pairs of one person.", min=1)
    ] = 30,
    face_policy: Faces = None,
    seed: Seed = 1,
    plots: Plots = None,
    as_json: AsJson = False,
) -> None:
    """Photos in one folder per person: error rates over all genuine and impostor pairs."""
    from app.training.evaluation.folder_report import evaluate_folder

    settings = read_settings()
    with progress_bar("Embedding photos") as progress:
        report = evaluate_folder(
            _pipeline(settings),
            data,
            policy=face_policy or settings.face_policy,
            per_identity=pairs_per_identity,
            seed=seed,
            threads=settings.inference_threads,
            plots=plots,
            progress=progress,
        )
    if as_json:
        print_json(report)
        return
    _print_head(report.model, report.failures, report.identities)
    print_table(_BOTH_WAYS, report.rows())
    _print_remarks(report.notes(), report.plots)


@evaluate.command()
def pairs(
    *,
    pairs: Annotated[
        Path, typer.Option(help="CSV file with the header a,b,same.", exists=True, dir_okay=False)
    ],
    root: Annotated[
        Path, typer.Option(help="Folder its paths are relative to.", exists=True, file_okay=False)
    ],
    face_policy: Faces = None,
    seed: Seed = 1,
    plots: Plots = None,
    as_json: AsJson = False,
) -> None:
    """Pairs listed in a CSV file: accuracy and error rates."""
    from app.training.evaluation.pairs_report import evaluate_pairs

    settings = read_settings()
    with progress_bar("Embedding photos") as progress:
        report = evaluate_pairs(
            _pipeline(settings),
            pairs,
            root,
            policy=face_policy or settings.face_policy,
            seed=seed,
            threads=settings.inference_threads,
            plots=plots,
            progress=progress,
        )
    if as_json:
        print_json(report)
        return
    _print_head(report.model, report.failures, report.identities)
    print_line(f"{report.pairs} pairs, {report.failed_pairs} with a photo that could not be used")
    print_table(_BOTH_WAYS, report.rows())
    _print_remarks(report.notes(), report.plots)


@evaluate.command()
def robustness(
    *,
    data: PeopleDir,
    probes: Annotated[int, typer.Option(help="Most photos to degrade.", min=1)] = 1000,
    fmr: Annotated[
        float, typer.Option(help="False match rate that thresholds are set at.", min=0, max=1)
    ] = 1e-3,
    face_policy: Faces = None,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Degrade probes (blur, low light, masks and more), and see what verification loses."""
    from app.training.evaluation.robustness import evaluate_robustness

    settings = read_settings()
    with progress_bar("Degrading photos") as progress:
        report = evaluate_robustness(
            _pipeline(settings),
            data,
            probes=probes,
            fmr=fmr,
            policy=face_policy or settings.face_policy,
            seed=seed,
            threads=settings.inference_threads,
            progress=progress,
        )
    if as_json:
        print_json(report)
        return
    print_line(
        f"model {report.model.version}: {report.photos} photos of {report.identities} people, "
        f"{report.unusable} left out because they fail as they are; "
        f"{report.genuine_pairs} genuine and {report.impostor_pairs} impostor pairs"
    )
    target = f"FMR {report.fmr:g}"
    print_table(
        (
            "probe",
            "no face / inconclusive",
            f"TAR at clean {target}",
            "FMR there",
            f"TAR at its own {target}",
        ),
        report.rows(),
    )
    _print_remarks(report.notes())


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


def _pipeline(settings: Settings) -> "FacePipeline":
    from app.inference.bundle import load_active
    from app.inference.decode import DecodeLimits
    from app.inference.pipeline import Pipeline

    bundle = load_active(settings.model_dir)
    return Pipeline(bundle, engines=settings.inference_threads, limits=DecodeLimits())


def _print_head(model: "ModelSection", failures: "FailureSection", identities: int) -> None:
    refused = ", ".join(f"{code} {count}" for code, count in failures.inconclusive.items())
    print_line(
        f"model {model.version}: {failures.images} photos of {identities} people, "
        f"{len(failures.invalid)} invalid, {failures.not_found} without a face, "
        f"inconclusive: {refused or 'none'}"
    )


def _print_remarks(notes: Sequence[str], plots: Sequence[str] = ()) -> None:
    for note in notes:
        print_note(note)
    for path in plots:
        print_note(f"plot: {path}")


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
