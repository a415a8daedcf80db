"""Options, progress, failures and outcomes of training jobs as JSON columns."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from app.domain.training import (
    Activation,
    Crop,
    JobOutcome,
    Judgement,
    Pooling,
    Preset,
    TrainingOptions,
)
from app.domain.training_jobs import JobFailure, JobProgress


def options_to_json(options: TrainingOptions) -> dict[str, Any]:
    """Options as a JSON object with the names of their fields."""
    return asdict(options)


def options_from_json(value: Mapping[str, Any]) -> TrainingOptions:
    """The inverse of `options_to_json`."""
    return TrainingOptions(
        preset=Preset(value["preset"]),
        subject=value["subject"],
        version=value["version"],
        activate=Activation(value["activate"]),
        seed=value["seed"],
        epochs=value["epochs"],
        crop=Crop(value["crop"]),
        pooling=Pooling(value["pooling"]),
    )


def progress_to_json(progress: JobProgress | None) -> dict[str, Any] | None:
    """Progress as a JSON object with the names of its fields."""
    return None if progress is None else asdict(progress.sound())


def progress_from_json(value: Mapping[str, Any] | None) -> JobProgress | None:
    """The inverse of `progress_to_json`."""
    return None if value is None else JobProgress(**value)


def failure_to_json(failure: JobFailure | None) -> dict[str, Any] | None:
    """A failure as a JSON object; `message` is what earlier versions of the service read."""
    if failure is None:
        return None
    return {
        "code": failure.code,
        "heading": failure.heading,
        "message": failure.message,
        "problems": [dict(problem) for problem in failure.problems],
    }


def failure_from_json(value: Mapping[str, Any] | None) -> JobFailure | None:
    """The inverse of `failure_to_json`."""
    if value is None:
        return None
    problems = tuple(value["problems"])
    if "heading" in value:
        return JobFailure(value["code"], value["heading"], problems)
    # Of an earlier version, whose message ends with what the problems say.
    said = " ".join(problem["message"] for problem in problems)
    return JobFailure(value["code"], value["message"].removesuffix(said).rstrip(), problems)


def outcome_to_json(outcome: JobOutcome | None) -> dict[str, Any] | None:
    """An outcome as a JSON object with the names of its fields."""
    return None if outcome is None else {**asdict(outcome), "reasons": list(outcome.reasons)}


def outcome_from_json(value: Mapping[str, Any] | None) -> JobOutcome | None:
    """The inverse of `outcome_to_json`."""
    if value is None:
        return None
    judgement = None if value["judgement"] is None else Judgement(value["judgement"])
    return JobOutcome(value["version"], judgement, value["activated"], tuple(value["reasons"]))
