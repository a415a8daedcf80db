"""The JSON about training jobs."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.api.parameters import SubjectName
from app.api.schemas import Answer
from app.domain.subjects import DEFAULT_SUBJECT
from app.domain.training import (
    TRAINING_SEED,
    Activation,
    Crop,
    JobState,
    Judgement,
    Pooling,
    Preset,
    Stage,
    TrainingOptions,
)
from app.domain.training_jobs import MAX_EPOCHS, MAX_SEED, VERSION_PATTERN, JobRecord, LogLine

_Loss = Annotated[float, AfterValidator(lambda value: round(value, 6))]
_AT = "2026-11-20T09:30:00.000+00:00"


class TrainIn(BaseModel):
    """What a job is asked for; every field may be left out."""

    preset: Preset = Field(
        Preset.FINETUNE,
        description="`finetune`: from the active model, on hundreds of photos. `seed`: the "
        "tutorial's network, to the letter. `compact`: a small network from scratch, on a dataset "
        "of many people.",
    )
    subject: SubjectName = Field(
        DEFAULT_SUBJECT, description="Whom anchor/ and positive/ show; erased with this person."
    )
    version: str | None = Field(
        None,
        description="Name of the new model. Default: made of preset and time.",
        json_schema_extra={"pattern": VERSION_PATTERN},
        examples=["finetune-1"],
    )
    activate: Activation = Field(
        Activation.IF_BETTER, description="When the new model serves by itself."
    )
    seed: int = Field(
        TRAINING_SEED, ge=0, le=MAX_SEED, description="Of the split and of all that is drawn."
    )
    epochs: int | None = Field(
        None, ge=1, le=MAX_EPOCHS, description="Default: the preset's own number."
    )
    crop: Crop = Field(
        Crop.ALIGNED,
        description="What the preset `seed` is shown: the aligned face, or the photo's middle.",
    )
    pooling: Pooling = Field(
        Pooling.PUBLISHED, description="Max-pooling windows of the preset `seed`."
    )

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    def options(self) -> TrainingOptions:
        """As the services take them."""
        return TrainingOptions(**{name: getattr(self, name) for name in TrainIn.model_fields})


class TrainingOptionsOut(Answer):
    """What a job was asked for."""

    preset: Preset
    subject: str = Field(examples=["default"])
    version: str | None
    activate: Activation
    seed: int
    epochs: int | None
    crop: Crop
    pooling: Pooling


class JobProgressOut(Answer):
    """How far a stage is."""

    done: int = Field(description="Steps done.", examples=[120])
    total: int = Field(description="Steps in all.", examples=[400])
    what: str | None = Field(description="Which part of the stage is counted.")
    epoch: int | None = Field(description="Of training, from 1.", examples=[3])
    loss: _Loss | None = Field(description="Of training, at this step.", examples=[0.0421])
    eta_seconds: float | None = Field(
        description="What this count still takes at its pace so far; null while that can't be "
        "told.",
        examples=[38.5],
    )


class JobProblemOut(Answer):
    """Why the photos would give a meaningless result."""

    code: str
    message: str


class JobErrorOut(Answer):
    """Why a job did not come to its end."""

    code: str = Field(
        description="A problem code, or `interrupted`.", examples=["training_data_invalid"]
    )
    message: str
    problems: list[JobProblemOut] = Field(description="With `training_data_invalid`.")


class JobOutcomeOut(Answer):
    """What a finished job has to tell."""

    version: str | None = Field(description="Of the model that was published; null if none was.")
    judgement: Judgement | None = Field(
        description="Against the active model, on the same photos; null if they could not be "
        "compared."
    )
    activated: bool = Field(description="Whether it serves.")
    reasons: list[str]


class JobOut(Answer):
    """A training job as it stands."""

    job_id: str = Field(examples=["0f6b3c1de6f14f0c9a1d8a4c6a5b7e21"])
    state: JobState
    queue_position: int | None = Field(
        description="1 for the next one; null unless it is queued.", examples=[1]
    )
    cancel_requested: bool = Field(
        description="Whether it was asked to stop and has not yet: it takes 5 s at most."
    )
    options: TrainingOptionsOut
    stage: Stage | None
    progress: JobProgressOut | None
    attempts: int = Field(description="How often it was begun.", examples=[1])
    created_at: str = Field(description="ISO 8601, UTC.", examples=[_AT])
    started_at: str | None = Field(description="Of the last attempt.", examples=[_AT])
    ended_at: str | None = Field(examples=[_AT])
    heartbeat_at: str | None = Field(
        description="When its process was last known to be alive.", examples=[_AT]
    )
    error: JobErrorOut | None = Field(description="Why it failed or was interrupted.")
    outcome: JobOutcomeOut | None = Field(description="With the state `succeeded`.")
    status_url: str = Field(examples=["/train/0f6b3c1de6f14f0c9a1d8a4c6a5b7e21"])


class JobsOut(Answer):
    """Training jobs, the newest first."""

    jobs: list[JobOut]


class JobAcceptedOut(Answer):
    """What was asked for happens in the background."""

    job_id: str = Field(examples=["0f6b3c1de6f14f0c9a1d8a4c6a5b7e21"])
    state: JobState
    status_url: str = Field(examples=["/train/0f6b3c1de6f14f0c9a1d8a4c6a5b7e21"])


class LogLineOut(Answer):
    """A line of a job's log."""

    number: int
    at: str = Field(description="ISO 8601, UTC.", examples=[_AT])
    message: str


def job_url(job_id: str) -> str:
    """Where a job's status is."""
    return f"/train/{job_id}"


def job_answer(job: JobRecord) -> JobOut:
    """A job as it stands."""
    fields: dict[str, Any] = {
        name: getattr(job, name) for name in JobOut.model_fields if name != "status_url"
    }
    return JobOut(
        **{
            **fields,
            "options": TrainingOptionsOut.model_validate(job.options),
            "progress": job.progress and JobProgressOut.model_validate(job.progress),
            "error": job.error and JobErrorOut.model_validate(job.error),
            "outcome": job.outcome and JobOutcomeOut.model_validate(job.outcome),
        },
        status_url=job_url(job.job_id),
    )


def accepted_answer(job: JobRecord) -> JobAcceptedOut:
    """A job that was submitted, cancelled or resumed."""
    return JobAcceptedOut(job_id=job.job_id, state=job.state, status_url=job_url(job.job_id))


def line_answer(line: LogLine) -> LogLineOut:
    """A line of a job's log."""
    return LogLineOut.model_validate(line)
