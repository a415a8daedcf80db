"""What is known about a training job while it waits, runs and after it ended."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from app.domain.errors import InvalidRequestError
from app.domain.subjects import subject_key
from app.domain.training import Crop, JobOutcome, JobState, Pooling, Preset, Stage, TrainingOptions

VERSION_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""Names of bundles; the manifest has the same rule."""
MAX_EPOCHS: Final = 10_000
MAX_SEED: Final = 2**32 - 1
"""The largest that Keras takes."""

_VERSION = re.compile(VERSION_PATTERN.removesuffix("$") + r"\Z")
_RESERVED: Final = "active"
"""The file in the model folder that names the bundle that serves."""


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a stage is.

    Attributes:
        done: Steps done.
        total: Steps in all.
        what: Which part of the stage is counted.
        epoch: Of training, from 1.
        loss: Of training, at this step.
        eta_seconds: What this count still takes at its pace so far.
    """

    done: int
    total: int
    what: str | None = None
    epoch: int | None = None
    loss: float | None = None
    eta_seconds: float | None = None

    def sound(self) -> "JobProgress":
        """The same without numbers that JSON has no words for: a loss can be NaN."""
        return replace(self, loss=_finite(self.loss), eta_seconds=_finite(self.eta_seconds))


@dataclass(frozen=True, slots=True)
class JobFailure:
    """Why a job did not come to its end.

    Attributes:
        code: A problem code of the API, or `interrupted`.
        heading: A sentence for a person; with problems, what stands above their list, if anything.
        problems: With `training_data_invalid`: code and message of each.
    """

    code: str
    heading: str
    problems: tuple[Mapping[str, str], ...] = ()

    @property
    def message(self) -> str:
        """All that is wrong, in one line."""
        return " ".join([self.heading, *(each["message"] for each in self.problems)]).strip()


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as it stands.

    Attributes:
        job_id: 32 hexadecimal digits.
        options: What it was asked for; a resumed job has the same.
        attempts: How often it was begun.
        created_at, started_at, ended_at, heartbeat_at: ISO 8601, UTC; of the last attempt, but for
            the first.
        queue_position: From 1, while it is queued.
        cancel_requested: Whether it was asked to stop and has not yet.
    """

    job_id: str
    state: JobState
    options: TrainingOptions
    attempts: int
    created_at: str
    started_at: str | None = None
    ended_at: str | None = None
    heartbeat_at: str | None = None
    queue_position: int | None = None
    cancel_requested: bool = False
    stage: Stage | None = None
    progress: JobProgress | None = None
    error: JobFailure | None = None
    outcome: JobOutcome | None = None


@dataclass(frozen=True, slots=True)
class JobEnding:
    """How an attempt ended: `state` and what belongs to it."""

    state: JobState
    error: JobFailure | None = None
    outcome: JobOutcome | None = None


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a job's log; `number` counts from 1, `at` is ISO 8601 UTC."""

    number: int
    at: str
    message: str


def check_options(options: TrainingOptions) -> None:
    """Refuse options that no preset could follow.

    Raises:
        InvalidRequestError: The message names the option.
    """
    subject_key(options.subject)
    if options.version is not None:
        _check_version(options.version)
    if not 0 <= options.seed <= MAX_SEED:
        raise InvalidRequestError(f"seed must be between 0 and {MAX_SEED}.", field="seed")
    if options.epochs is not None and not 1 <= options.epochs <= MAX_EPOCHS:
        raise InvalidRequestError(f"epochs must be between 1 and {MAX_EPOCHS}.", field="epochs")
    if options.preset is not Preset.SEED:
        _refuse_seed_options(options)


def _check_version(version: str) -> None:
    if _VERSION.match(version) is None or version == _RESERVED:
        raise InvalidRequestError(
            "The name of a bundle has 1 to 64 of the characters A-Z a-z 0-9 . _ - and starts with "
            f"a letter or a digit; {_RESERVED!r} is taken.",
            field="version",
        )


def _refuse_seed_options(options: TrainingOptions) -> None:
    """An option that would be ignored is a misunderstanding."""
    if options.crop is not Crop.ALIGNED:
        raise InvalidRequestError("crop belongs to the preset seed.", field="crop")
    if options.pooling is not Pooling.PUBLISHED:
        raise InvalidRequestError("pooling belongs to the preset seed.", field="pooling")


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
