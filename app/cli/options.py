"""Options that several commands share, and the runtime behind them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from pydantic import ValidationError

from app.cli.output import print_note, progress_bar
from app.domain.decisions import (
    SEED_DETECTION_THRESHOLD,
    SEED_VERIFICATION_THRESHOLD,
    VoteRule,
)
from app.domain.entities import FacePolicy
from app.domain.errors import InvalidRequestError
from app.runtime import Runtime, open_runtime
from app.services.verification import VerifyOptions
from app.settings import Settings

Subject = Annotated[str, typer.Option(help="Name of the person.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
MaxFmr = Annotated[
    float | None,
    typer.Option(help="False match rate to accept, e.g. 0.001. Default: FACETWIN_MAX_FMR."),
]
Detection = Annotated[
    float | None,
    typer.Option(help="Vote policy: a reference votes when its probability exceeds this."),
]
Verification = Annotated[
    float | None, typer.Option(help="Vote policy: the share of votes must exceed this.")
]
Faces = Annotated[FacePolicy | None, typer.Option(help="Which of several faces is meant.")]
DataDir = Annotated[
    Path, typer.Option("--data", help="Folder of the research data.", exists=True, file_okay=False)
]


_OTHERS: Final = {"FACETWIN_RESEARCH_DATA"}
"""Variables that are not settings: the tests on research data read it."""


class UnreadableFileError(InvalidRequestError):
    """A photo that was named can't be read."""


def read_settings(**given: Any) -> Settings:
    """Settings from the environment; `given` goes before it.

    Raises:
        InvalidRequestError: If a variable has a value that is not allowed.
    """
    known = {f"FACETWIN_{name.upper()}" for name in Settings.model_fields} | _OTHERS
    for name in sorted(name for name in os.environ if name.startswith("FACETWIN_")):
        if name not in known:
            print_note(f"warning: {name} is not a setting of Facetwin")
    try:
        return Settings(**given)
    except ValidationError as error:
        # The default of a setting that follows from a wrong one is not a problem of its own.
        wrong = [e for e in error.errors() if e["type"] != "default_factory_not_called"]
        problems = "; ".join(_problem(item["loc"], item["msg"]) for item in wrong)
        raise InvalidRequestError(problems) from None


def _problem(location: tuple[int | str, ...], message: str) -> str:
    # Errors of the class as a whole name their variables themselves.
    name = f"FACETWIN_{str(location[0]).upper()}: " if location else ""
    return name + message.removeprefix("Value error, ")


@contextmanager
def opened_runtime(*, accept_removals: bool = False) -> Iterator[Runtime]:
    """The runtime for one command: one thread, and a bar while the gallery is embedded."""
    settings = read_settings().model_copy(update={"inference_threads": 1})
    with progress_bar("Embedding new references") as progress:
        runtime = open_runtime(settings, progress=progress, accept_removals=accept_removals)
    for problem in runtime.gallery.health().degraded:
        print_note(f"warning: {problem.message}")
    try:
        yield runtime
    finally:
        runtime.close()


def verify_options(
    settings: Settings,
    max_fmr: float | None,
    detection: float | None,
    verification: float | None,
    policy: FacePolicy | None,
) -> VerifyOptions:
    """Options of a verification; passing either vote threshold chooses the vote policy.

    Raises:
        InvalidRequestError: If they contradict each other or are out of range.
    """
    for name, value in (("detection", detection), ("verification", verification)):
        if value is not None and not 0 <= value <= 1:
            raise InvalidRequestError(f"--{name}-threshold must be between 0 and 1.")
    if max_fmr is not None and not 0 < max_fmr < 1:
        raise InvalidRequestError("--max-fmr must be between 0 and 1.")
    vote = None
    if detection is not None or verification is not None:
        if max_fmr is not None:
            raise InvalidRequestError(
                "--max-fmr belongs to the calibrated policy, the two thresholds to the vote "
                "policy: give one or the other."
            )
        vote = VoteRule(
            SEED_DETECTION_THRESHOLD if detection is None else detection,
            SEED_VERIFICATION_THRESHOLD if verification is None else verification,
        )
    return VerifyOptions(
        settings.max_fmr if max_fmr is None else max_fmr, vote, policy or settings.face_policy
    )


def read_image(path: Path) -> bytes:
    """Bytes of an image file.

    Raises:
        UnreadableFileError: If it can't be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableFileError(f"{path} can't be read: {error.strerror}.") from None


def write_file(path: Path, data: bytes) -> None:
    """Write a new file that only its owner can read: it holds personal data.

    Raises:
        InvalidRequestError: If there is one already, or it can't be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        raise InvalidRequestError(
            f"{path} can't be written: {error.strerror}. Nothing was done; name another file."
        ) from None
