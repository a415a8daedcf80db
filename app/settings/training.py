"""Settings of training jobs."""

from typing import Final

from pydantic import Field
from pydantic_settings import BaseSettings

from app.settings.cpus import usable_cpus

_GIB: Final = 1024**3


class TrainingSettings(BaseSettings):
    """Bounds of a job; docs/training.md tells what jobs usually take."""

    training_hours: float = Field(
        12.0,
        gt=0,
        le=24 * 365,
        allow_inf_nan=False,
        description="Hours that a training job may run before it is ended as failed.",
    )
    training_threads: int = Field(
        default_factory=usable_cpus,
        ge=1,
        le=256,
        description="Threads of a training job, at low priority. Default: the usable CPUs.",
    )
    training_memory_bytes: int = Field(
        3 * _GIB,
        ge=_GIB // 2,
        description="Memory (resident) that a training job may take before it is ended as failed.",
    )
