"""`facetwin model`: the bundles."""

import os
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.cli.model_changes import activate, prune
from app.cli.options import AsJson, DataDir, read_settings
from app.cli.output import print_error, print_json, print_line, print_note, print_table
from app.inference.bundle import active_version, list_versions, load_bundle
from app.inference.decode import DecodeLimits
from app.inference.manifest import Manifest
from app.model_list import ListedModel
from app.model_list import list_models as listed_models

model = typer.Typer(help="The bundles: versions of the model.", no_args_is_help=True)
model.command("activate")(activate)
model.command("prune")(prune)

Version = Annotated[str | None, typer.Argument(help="Name of the bundle. Default: the active one.")]


class BundleOut(BaseModel):
    """A bundle in a list; `references` are those that are embedded by it."""

    version: str
    active: bool
    fingerprint: str | None
    created: str | None
    preset: str | None
    references: int
    bytes: int
    licence: str | None
    problem: str | None


class BundlesOut(BaseModel):
    """All bundles."""

    models: list[BundleOut]


class VerifiedOut(BaseModel):
    """Result of checking a bundle."""

    version: str
    fingerprint: str
    ok: bool
    detail: str


@model.command("list")
def list_models(as_json: AsJson = False) -> None:
    """All bundles; the active one serves."""
    from app.installed_bundles import bundle_shelf
    from app.pruning import database_if_there

    settings = read_settings()
    if not list_versions(settings.model_dir):
        print_note(f"{settings.model_dir} holds no models")
    with database_if_there(settings) as database:
        found = listed_models(bundle_shelf(settings), database)
    bundles = [_bundle(each) for each in found]
    if as_json:
        print_json(BundlesOut(models=bundles))
    else:
        columns = ("version", "active", "preset", "created", "refs", "MB")
        print_table(columns, [_row(each) for each in bundles])
        for each in bundles:
            if each.problem:
                print_line(f"{escape(each.version)}: {escape(each.problem.splitlines()[0])}")


def _bundle(found: ListedModel) -> BundleOut:
    bundle = found.bundle
    return BundleOut(
        version=bundle.version,
        active=found.active,
        fingerprint=bundle.fingerprint,
        created=bundle.created,
        preset=bundle.preset,
        references=found.references,
        bytes=bundle.bytes,
        licence=bundle.licence,
        problem=bundle.problem,
    )


def _row(bundle: BundleOut) -> tuple[str, ...]:
    return (
        bundle.version,
        "yes" if bundle.active else "",
        bundle.preset or "",
        (bundle.created or "")[:10],
        str(bundle.references),
        f"{bundle.bytes / 1e6:.1f}",
    )


@model.command("show")
def show(version: Version = None, as_json: AsJson = False) -> None:
    """What a bundle says about itself: the model card, or the manifest with --json."""
    directory = _directory(version)
    manifest: Manifest = load_bundle(directory).manifest
    if as_json:
        print_json(manifest)
    else:
        typer.echo((directory / "model_card.md").read_text("utf-8"))


@model.command("verify")
def verify_model(version: Version = None, as_json: AsJson = False) -> None:
    """Check every sha256 of a bundle and run its golden images."""
    from app.inference.pipeline import Pipeline

    bundle = load_bundle(_directory(version))
    ok, detail = Pipeline(bundle, engines=1, limits=DecodeLimits()).self_test()
    manifest = bundle.manifest
    if as_json:
        print_json(
            VerifiedOut(
                version=manifest.version, fingerprint=manifest.fingerprint, ok=ok, detail=detail
            )
        )
    elif ok:
        print_line(f"{manifest.version}: {len(manifest.files)} files match, {detail}")
    else:
        print_error(f"{manifest.version}: {detail}")
    if not ok:
        raise typer.Exit(3)


@model.command("build-default")
def build(
    data: DataDir,
    version: Annotated[str, typer.Option(help="Name of the new bundle.")],
    pictures: Annotated[Path, typer.Option(help="Portraits that become the golden images.")] = Path(
        "tests/fixtures/portraits"
    ),
    no_celeba: Annotated[
        bool, typer.Option("--no-celeba", help="No weight sees CelebA (cosine score).")
    ] = False,
    activate: Annotated[bool, typer.Option("--activate", help="Let it serve from now on.")] = False,
) -> None:
    """Rebuild the default bundle from published weights (extra `default-bundle`)."""
    # oneDNN's convolutions train twice as fast on processors without AVX-512, where it is off.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    from app.training.bundle_writer import set_active
    from app.training.default_bundle import build_default
    from app.training.plan import Plan

    settings = read_settings()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        tasks: dict[str, int] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage)
            progress.update(tasks[stage], completed=done, total=total or None)  # type: ignore[arg-type]

        plan = Plan(
            data=data,
            pictures=pictures,
            model_dir=settings.model_dir,
            version=version,
            celeba=not no_celeba,
            threads=settings.inference_threads,
            report=report,
        )
        directory = build_default(plan)
    if activate:
        set_active(settings.model_dir, version)
    print_note(f"Built {directory}")


def _directory(version: str | None) -> Path:
    folder = read_settings().model_dir
    return folder / (version or active_version(folder))
