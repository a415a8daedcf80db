"""`facetwin model activate` and `prune`."""

import sys
from typing import Annotated

import typer
from pydantic import BaseModel
from rich.markup import escape

from app.cli.options import AsJson, read_settings
from app.cli.output import print_json, print_line, print_note, progress_bar
from app.domain.errors import InvalidRequestError


class ActivatedOut(BaseModel):
    """The model that is active now, and what the change costs."""

    version: str
    warnings: list[str]


class PrunedOut(BaseModel):
    """What was deleted, and what was kept because it is in use."""

    models: list[str]
    kept: dict[str, str]
    embeddings: int


def activate(
    version: Annotated[str, typer.Argument(help="Name of the bundle.")], as_json: AsJson = False
) -> None:
    """Let a bundle serve from now on, and embed every reference by it; also the way back.

    A running service follows within seconds. If anything fails, the model before stays active.
    """
    from app.activation import activate_version

    # One thread, as a service may run beside this.
    settings = read_settings().model_copy(update={"inference_threads": 1})
    with progress_bar("Embedding references") as progress:
        warnings = activate_version(settings, version, progress)
    if as_json:
        print_json(ActivatedOut(version=version, warnings=list(warnings)))
        return
    print_line(f"{escape(version)} is active; a running service follows within seconds")
    for warning in warnings:
        print_note(f"warning: {warning}")


def prune(
    versions: Annotated[
        list[str] | None,
        typer.Argument(help="Bundles to delete. Default: all that training jobs made."),
    ] = None,
    *,
    keep: Annotated[list[str] | None, typer.Option(help="A bundle to keep; repeatable.")] = None,
    embeddings_only: Annotated[
        bool,
        typer.Option("--embeddings-only", help="Delete no bundle, only embeddings of none."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete bundles that are not needed, and embeddings that no remaining bundle can use.

    The active bundle stays, and so does one that a running process uses. The bundle that came with
    the installation stays too, and the last one that no training job made.
    """
    from app.pruning import prunable, unneeded_embeddings
    from app.pruning import prune as prune_models

    settings = read_settings()
    if embeddings_only and (versions or keep):
        raise InvalidRequestError("--embeddings-only deletes no bundle: name none.")
    wanted = [] if embeddings_only else prunable(settings, versions or [], keep or [])
    if not yes:
        _confirm(wanted, unneeded_embeddings(settings, wanted))
    pruned = prune_models(settings, wanted)
    if as_json:
        print_json(
            PrunedOut(models=list(pruned.models), kept=pruned.kept, embeddings=pruned.embeddings)
        )
        return
    print_line(f"{len(pruned.models)} models and {pruned.embeddings} embeddings deleted")
    for version, why in pruned.kept.items():
        print_line(f"  [yellow]kept[/yellow] {escape(version)}: {escape(why)}")


def _confirm(versions: list[str], embeddings: int) -> None:
    if not sys.stdin.isatty():
        raise InvalidRequestError("Pass --yes to delete without being asked.")
    named = ", ".join(versions) or "no model"
    typer.confirm(
        f"Delete {named}, and {embeddings} embeddings that no other model can use?",
        abort=True,
        err=True,
    )
