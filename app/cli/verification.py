"""`facetwin serve`, `verify` and `compare`."""

import sys
from pathlib import Path
from typing import Annotated, Final
from uuid import uuid4

import typer
from rich.markup import escape

from app.api.answers import verdict_answer
from app.cli.options import (
    AsJson,
    Detection,
    Faces,
    MaxFmr,
    Subject,
    Verification,
    opened_runtime,
    read_image,
    read_settings,
    verify_options,
)
from app.cli.output import print_json, print_line, print_note, print_table, progress_bar
from app.domain.entities import Decision
from app.domain.errors import InvalidRequestError
from app.domain.images import IMAGE_SUFFIXES
from app.domain.subjects import DEFAULT_SUBJECT
from app.runtime import Runtime
from app.services.verification import VerificationResult

_EXIT_CODES: Final = {Decision.MATCH: 0, Decision.NO_MATCH: 1, Decision.INCONCLUSIVE: 2}
_COLOURS: Final = {
    Decision.MATCH: "green",
    Decision.NO_MATCH: "red",
    Decision.INCONCLUSIVE: "yellow",
}


def serve(
    host: Annotated[str | None, typer.Option(help="Default: FACETWIN_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Default: FACETWIN_PORT.")] = None,
) -> None:
    """Serve over HTTP."""
    from app.runtime import open_serving_runtime
    from app.server import serve as serve_http

    given = {"host": host, "port": port}
    settings = read_settings(**{name: v for name, v in given.items() if v is not None})
    if sys.stderr.isatty():
        print_note(f"Facetwin on http://{settings.host}:{settings.port} (Ctrl-C stops it)")

    def opened() -> Runtime:
        with progress_bar("Embedding new references") as progress:
            return open_serving_runtime(settings, progress=progress)

    # Opened before the server starts, so that a failure is one clear message.
    serve_http(opened())


def verify(
    path: Annotated[
        Path | None,
        typer.Argument(help="Photo to verify. Default: the newest file in input_image/."),
    ] = None,
    *,
    subject: Subject = DEFAULT_SUBJECT,
    max_fmr: MaxFmr = None,
    detection_threshold: Detection = None,
    verification_threshold: Verification = None,
    face_policy: Faces = None,
    as_json: AsJson = False,
) -> None:
    """Is the person on the photo the person enrolled?"""
    with opened_runtime() as runtime:
        settings = runtime.settings
        options = verify_options(
            settings, max_fmr, detection_threshold, verification_threshold, face_policy
        )
        photo = path or _newest(settings.input_dir)
        if path is None:
            print_note(f"Verifying {photo}")
        result = runtime.verification.verify(read_image(photo), subject, options)
    _finish(result, as_json=as_json)


def compare(
    source: Annotated[Path, typer.Argument(help="First photo.")],
    target: Annotated[Path, typer.Argument(help="Second photo.")],
    *,
    max_fmr: MaxFmr = None,
    detection_threshold: Detection = None,
    verification_threshold: Verification = None,
    face_policy: Faces = None,
    as_json: AsJson = False,
) -> None:
    """Do two photos show one person? Nothing is stored."""
    with opened_runtime() as runtime:
        options = verify_options(
            runtime.settings, max_fmr, detection_threshold, verification_threshold, face_policy
        )
        result = runtime.verification.compare(read_image(source), read_image(target), options)
    _finish(result, as_json=as_json)


def _newest(folder: Path) -> Path:
    photos = [p for p in folder.glob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file()]
    if not photos:
        raise InvalidRequestError(f"{folder} holds no photo. Name one: facetwin verify PHOTO")
    return max(photos, key=lambda photo: photo.stat().st_mtime_ns)


def _finish(result: VerificationResult, *, as_json: bool) -> None:
    if as_json:
        print_json(verdict_answer(result, uuid4().hex, detail=bool(result.references)))
    else:
        _print_verdict(result)
    raise typer.Exit(_EXIT_CODES[result.verdict.decision])


def _print_verdict(result: VerificationResult) -> None:
    verdict = result.verdict
    colour, word = _COLOURS[verdict.decision], verdict.decision.value.replace("_", " ")
    whom = f" for {escape(result.subject)}" if result.subject else ""
    print_line(f"[bold {colour}]{word}[/bold {colour}]{whom}")
    rows = [("score", f"{verdict.score:.4f}"), ("threshold", f"{verdict.threshold:.4f}")]
    if verdict.fmr:
        low, high = verdict.fmr.interval
        rows.append(("FMR", f"{verdict.fmr.estimated:.2g} ({low:.2g} to {high:.2g})"))
    votes = verdict.votes
    rows.append(("votes", f"{votes.above} of {votes.references}"))
    rows.append(("model", result.version))
    rows.append(("time", f"{result.timing_ms['total']:.0f} ms"))
    print_table(("", ""), rows)
    for reason in verdict.reasons:
        print_line(f"[yellow]{reason.code.value}[/yellow] {escape(reason.message)}")
