"""`facetwin train`: submit a training job, and watch it."""

from typing import Annotated, Final

import typer

from app.api.training_schemas import accepted_answer, job_answer
from app.cli.job_access import JobAccess, opened_jobs
from app.cli.job_progress import follow, print_ending
from app.cli.options import AsJson
from app.cli.output import print_json, print_line, print_note
from app.domain.audit import COMMAND
from app.domain.subjects import DEFAULT_SUBJECT, subject_key
from app.domain.training import (
    TRAINING_SEED,
    Activation,
    Crop,
    JobState,
    Pooling,
    Preset,
    TrainingOptions,
)
from app.domain.training_jobs import JobRecord

_NOT_SUCCEEDED: Final = 3
_NAMED: Final = 5
"""Subjects that a remark lists."""

Detach = Annotated[
    bool, typer.Option("--detach", help="Do not wait for the end; the job goes on by itself.")
]


def train(
    preset: Annotated[
        Preset,
        typer.Option(
            help="finetune: from the active model, on hundreds of photos. seed: the tutorial's "
            "network, to the letter. compact: from scratch, on a dataset of many people."
        ),
    ] = Preset.FINETUNE,
    subject: Annotated[
        str | None,
        typer.Option(
            help="Whom anchor/ and positive/ show, named as enrolled; erased with this person. "
            f"Default: {DEFAULT_SUBJECT}."
        ),
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="Name of the new model. Default: of preset and time.")
    ] = None,
    *,
    activate: Annotated[
        Activation, typer.Option(help="When the new model serves by itself.")
    ] = Activation.IF_BETTER,
    seed: Annotated[
        int, typer.Option(help="Of the split and of all that is drawn.")
    ] = TRAINING_SEED,
    epochs: Annotated[int | None, typer.Option(help="Default: the preset's own number.")] = None,
    crop: Annotated[Crop, typer.Option(help="What the preset seed is shown.")] = Crop.ALIGNED,
    pooling: Annotated[
        Pooling, typer.Option(help="Max-pooling windows of the preset seed.")
    ] = Pooling.PUBLISHED,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Train a model on the photos in data/, in the background; Ctrl-C cancels it.

    Exit code 0 only if the job succeeded. A service may go on serving meanwhile.
    """
    owner = DEFAULT_SUBJECT if subject is None else subject
    options = TrainingOptions(preset, owner, version, activate, seed, epochs, crop, pooling)
    with opened_jobs() as access:
        job = access.jobs.submit(options, COMMAND)
        if subject is None and preset is not Preset.COMPACT:
            print_note(_presumed_owner(access.enrolled()))
        see_through(access, job, detach=detach, as_json=as_json)


def _presumed_owner(enrolled: list[str]) -> str:
    """Whom the model will be about, as nobody said it, in a line."""
    others = [name for name in enrolled if subject_key(name) != DEFAULT_SUBJECT]
    if not enrolled or len(others) < len(enrolled):
        return (
            f"The owner is taken to be the subject {DEFAULT_SUBJECT}; --subject NAME trains for "
            "another one."
        )
    names = ", ".join(others[:_NAMED]) + (", ..." if len(others) > _NAMED else "")
    return (
        f"warning: the owner is taken to be the subject {DEFAULT_SUBJECT}, who is not enrolled "
        f"({names}): the model will be about nobody in the gallery. Ctrl-C, or facetwin jobs "
        "cancel, and --subject NAME trains for one of them."
    )


def see_through(
    access: JobAccess, job: JobRecord, *, detach: bool, as_json: bool, after: int = 0
) -> None:
    """Have a queued job run, and watch it to its end unless that is not wanted.

    Args:
        access: To the jobs.
        job: The queued one.
        detach: Whether nobody waits for its end.
        as_json: Whether the outcome is for a machine.
        after: Number of the last line of its log that is not to be shown.

    Raises:
        typer.Exit: If it does not succeed.
    """
    access.supervisor.look()
    if detach:
        if as_json:
            print_json(accepted_answer(job))
        else:
            print_line(f"queued {job.job_id}, place {job.queue_position}")
            print_note(f"facetwin jobs show {job.job_id}   tells how far it is")
        return
    job = follow(access, job.job_id, after)
    if as_json:
        print_json(job_answer(job))
    else:
        print_ending(job)
    if job.state is not JobState.SUCCEEDED:
        raise typer.Exit(_NOT_SUCCEEDED)
