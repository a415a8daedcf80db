"""`facetwin enroll` and `facetwin subjects`."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer
from rich.markup import escape

from app.api.answers import deleted_answer, enroll_answer, subjects_answer
from app.cli.options import (
    AsJson,
    Faces,
    Subject,
    UnreadableFileError,
    opened_runtime,
    read_image,
    write_file,
)
from app.cli.output import print_json, print_line, print_note, print_table, progress_bar
from app.domain.audit import COMMAND
from app.domain.entities import FacePolicy, Reason, ReasonCode
from app.domain.errors import EnrollmentRejectedError, InvalidRequestError
from app.domain.images import FOREIGN_SUFFIXES, IMAGE_SUFFIXES
from app.domain.subjects import DEFAULT_SUBJECT
from app.runtime import Runtime
from app.services.enrollment import Enrolled, EnrollmentResult, Rejected, Upload

subjects = typer.Typer(help="The people in the gallery.", no_args_is_help=True)


def enroll(
    paths: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.")],
    subject: Subject = DEFAULT_SUBJECT,
    face_policy: Faces = None,
    as_json: AsJson = False,
) -> None:
    """Add photos of a person. Good ones are kept, bad ones are named with their reasons."""
    photos = list(_photos(paths))
    with opened_runtime() as runtime:
        policy = face_policy or runtime.settings.face_policy
        result = _enroll(runtime, subject, photos, policy)
    if as_json:
        print_json(enroll_answer(result, uuid4().hex, scores=True))
    else:
        _print_enrollment(result)
    if not result.enrolled:
        raise typer.Exit(3)


def _photos(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        # Photos of other kinds are named as rejected instead of passed over.
        kinds = IMAGE_SUFFIXES | FOREIGN_SUFFIXES
        inside = [p for p in sorted(path.iterdir()) if p.suffix.lower() in kinds]
        if not inside:
            raise InvalidRequestError(f"{path} holds no photos.")
        yield from inside


def _enroll(
    runtime: Runtime, subject: str, photos: list[Path], policy: FacePolicy
) -> EnrollmentResult:
    """One by one, so that a long enrolment can be watched, and interrupted without loss."""
    enrolled: list[Enrolled] = []
    rejected: list[Rejected] = []
    with progress_bar("Enrolling") as progress:
        for number, photo in enumerate(photos, start=1):
            try:
                upload = Upload(photo.name, read_image(photo))
                enrolled.extend(runtime.enrollment.enroll(subject, [upload], policy).enrolled)
            except UnreadableFileError as error:
                reason = Reason(ReasonCode.INVALID_IMAGE, error.message)
                rejected.append(Rejected(photo.name, (reason,)))
            except EnrollmentRejectedError as error:
                rejected.extend(_rejected(document) for document in error.extra["rejected"])
            progress(number, len(photos))
    summary = runtime.gallery.summary(subject)
    name, references = (summary.subject, summary.references) if summary else (subject, 0)
    return EnrollmentResult(name, tuple(enrolled), tuple(rejected), references)


def _rejected(document: Mapping[str, Any]) -> Rejected:
    reasons = tuple(Reason(**reason) for reason in document["reasons"])
    return Rejected(document["filename"], reasons)


def _print_enrollment(result: EnrollmentResult) -> None:
    print_line(
        f"[bold]{escape(result.subject)}[/bold]: {len(result.enrolled)} enrolled, "
        f"{len(result.rejected)} rejected, {result.references} references"
    )
    for photo in result.enrolled:
        for reason in photo.quality.reasons:
            print_line(
                f"  [green]enrolled[/green] {escape(photo.filename)}, but {reason.code.value}: "
                f"{escape(reason.message)}"
            )
    for refused in result.rejected:
        for reason in refused.reasons:
            print_line(
                f"  [red]rejected[/red] {escape(refused.filename)}, {reason.code.value}: "
                f"{escape(reason.message)}"
            )


@subjects.command("list")
def list_subjects(as_json: AsJson = False) -> None:
    """Everyone in the gallery, and the files in the folder that could not be used."""
    with opened_runtime() as runtime:
        found = runtime.gallery.subjects()
        skipped = runtime.gallery.health().report.skipped
    if as_json:
        print_json(subjects_answer(found, skipped))
        return
    rows = [(s.subject, str(s.references), s.created_at) for s in found]
    print_table(("subject", "references", "since"), rows)
    for file in skipped:
        for reason in file.reasons:
            print_line(
                f"  [yellow]skipped[/yellow] {escape(file.path)}: {reason.code.value} "
                f"{escape(reason.message)}"
            )


@subjects.command("delete")
def delete_subject(
    subject: Annotated[str, typer.Argument(help="Name of the person.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    receipt: Annotated[
        Path | None, typer.Option(help="Where to write the signed receipt, as JSON.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Remove a person: rows, embeddings, photos, and what training keeps."""
    if not yes and not sys.stdin.isatty():
        raise InvalidRequestError("Pass --yes to delete without being asked.")
    if not yes:
        typer.confirm(f"Delete all photos and embeddings of {subject}?", abort=True, err=True)
    with opened_runtime() as runtime, _kept_file(receipt) as keep:
        erased = runtime.gallery.delete_subject(subject)
        answer = deleted_answer(erased)
        keep(answer.receipt.model_dump_json(indent=2).encode())
    if as_json:
        print_json(answer)
    else:
        removed = erased.removed
        print_line(
            f"{escape(erased.subject)}: {removed.references} references, {removed.embeddings} "
            f"embeddings and {removed.files} files deleted, and {removed.training_files} files of "
            f"training (receipt {erased.receipt_id})"
        )
        if erased.models:
            print_note(
                f"Trained on photos of {erased.subject}, and can't unlearn them: "
                f"{', '.join(erased.models)}. facetwin model prune deletes models."
            )


@contextmanager
def _kept_file(path: Path | None) -> Iterator[Callable[[bytes], object]]:
    """A new file, made before anything is deleted, so that what it is for can't be lost."""
    if path is None:
        yield lambda _data: None
        return
    write_file(path, b"")
    try:
        yield path.write_bytes
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@subjects.command("export")
def export_subject(
    subject: Annotated[str, typer.Argument(help="Name of the person.")],
    to: Annotated[Path, typer.Option("--to", help="The zip file to write.")],
) -> None:
    """Write all that is stored about a person into a zip file."""
    with opened_runtime() as runtime, _kept_file(to) as keep:
        archive = runtime.gallery.export(subject, COMMAND)
        keep(b"".join(archive.chunks))
    print_note(f"Wrote {to}")
