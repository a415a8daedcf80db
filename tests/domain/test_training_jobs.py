from dataclasses import replace
from typing import Any

import pytest

from app.domain.errors import InvalidRequestError, TrainingDataError
from app.domain.training import Crop, Pooling, Preset, TrainingOptions
from app.domain.training_jobs import (
    MAX_SEED,
    VERSION_PATTERN,
    JobFailure,
    JobProgress,
    check_options,
)
from app.inference.manifest import Manifest

GOOD = TrainingOptions(preset=Preset.SEED)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"preset": Preset.FINETUNE},
        {"version": "anna-1.2_b"},
        {"version": "a" * 64},
        {"seed": 0},
        {"seed": MAX_SEED},
        {"epochs": 1},
        {"crop": Crop.CENTRAL, "pooling": Pooling.SMALL},
    ],
)
def test_what_is_possible_passes(options: dict[str, Any]) -> None:
    check_options(replace(GOOD, **options))


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("subject", {"subject": "../anna"}),
        ("subject", {"subject": ""}),
        *(("version", {"version": v}) for v in ("", ".hidden", "a/b", "..", "a\n", "a" * 65)),
        ("version", {"version": "active"}),
        ("seed", {"seed": -1}),
        ("seed", {"seed": MAX_SEED + 1}),
        ("epochs", {"epochs": 0}),
        ("epochs", {"epochs": 10_001}),
        ("crop", {"preset": Preset.COMPACT, "crop": Crop.CENTRAL}),
        ("pooling", {"preset": Preset.FINETUNE, "pooling": Pooling.SMALL}),
    ],
)
def test_what_is_not_possible_is_named(field: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        check_options(replace(GOOD, **options))
    assert refused.value.extra["field"] == field


def test_a_bundle_may_have_every_name_that_a_job_may_give_it() -> None:
    rule = Manifest.model_json_schema()["properties"]["version"]["pattern"]
    assert rule == VERSION_PATTERN


def test_sound_progress_keeps_what_is_a_number() -> None:
    progress = JobProgress(1, 2, "pairs", 3, 0.5, 4.0)
    assert progress.sound() == progress
    assert replace(progress, loss=float("nan")).sound() == replace(progress, loss=None)


@pytest.mark.parametrize(
    ("heading", "message"),
    [
        ("Meaningless:", "Meaningless: Add photos. Add people."),
        ("", "Add photos. Add people."),
    ],
)
def test_a_message_is_the_heading_and_what_each_problem_says(heading: str, message: str) -> None:
    problems = tuple({"code": "few", "message": f"Add {what}."} for what in ("photos", "people"))
    assert JobFailure("training_data_invalid", heading, problems).message == message
    assert TrainingDataError.of(problems, heading).message == message
    assert JobFailure("internal_error", "Why.").message == "Why."
