"""The command `facetwin`.

Exit codes: 0 match or success, 1 no match, 2 inconclusive, 3 error.
"""

import json
import sys
import traceback

import typer

from app import __version__
from app.cli import (
    audit,
    data,
    encryption,
    evaluate,
    gallery,
    jobs,
    keys,
    model,
    sync,
    train,
    verification,
)
from app.cli.output import print_error
from app.domain.errors import FacetwinError

ERROR = 3

app = typer.Typer(
    name="facetwin",
    help="Self-hosted face verification. Exit codes: 0 match or success, 1 no match, "
    "2 inconclusive, 3 error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(verification.serve)
app.command()(gallery.enroll)
app.command()(verification.verify)
app.command()(verification.compare)
app.command()(sync.sync)
app.command()(train.train)
app.add_typer(jobs.jobs, name="jobs")
app.add_typer(gallery.subjects, name="subjects")
app.add_typer(audit.audit, name="audit")
app.add_typer(keys.keys, name="keys")
app.add_typer(encryption.encryption, name="encryption")
app.add_typer(model.model, name="model")
app.add_typer(evaluate.evaluate, name="evaluate")
app.add_typer(data.data, name="data")


@app.callback(invoke_without_command=True)
def _version(
    *, version: bool = typer.Option(False, "--version", help="Print the version and stop.")
) -> None:
    if version:
        typer.echo(f"facetwin {__version__}")
        raise typer.Exit


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; nothing but a verdict gives 1 or 2, not even a crash or a typo."""
    try:
        return app(arguments, standalone_mode=False) or 0
    except FacetwinError as error:
        print_error(error.message)
        if "--json" in (sys.argv if arguments is None else arguments):
            typer.echo(json.dumps({"code": error.code, "detail": error.message}))
    except typer.Abort:
        print_error("Interrupted.")
    except typer.TyperException as error:
        # Usage errors name the argument in their formatted message.
        message = getattr(error, "format_message", error.__str__)()
        print_error(message or "Something is missing. Add --help to see what.")
    except Exception:  # noqa: BLE001 - Python's own exit code for a crash, 1, means "no match" here
        traceback.print_exc()
    return ERROR
