"""The JSON about versions of the model."""

from typing import Any, Literal

from pydantic import Field

from app.api.schemas import Answer, SelfTestOut
from app.domain.models import ActivationState


class ListedModelOut(Answer):
    """A version of the model."""

    version: str = Field(examples=["default-2"])
    fingerprint: str | None = Field(
        description="Hash of weights, detector and preprocessing; null if that can't be read."
    )
    created: str | None = Field(examples=["2026-11-02T09:30:00+00:00"])
    preset: str | None = Field(examples=["finetune"])
    active: bool = Field(description="Whether it is to serve, now and after a restart.")
    serving: bool = Field(description="Whether it answered this request's fellows just now.")
    references: int = Field(description="References that are embedded by it.", examples=[50])
    bytes: int = Field(description="Size on the disk.", examples=[31457280])
    licence: str | None = Field(description="What its weights may be used for.")
    self_test: SelfTestOut | None = Field(description="Of the one that serves; else null.")
    problem: str | None = Field(description="Why it can't be used, as far as that is known.")


class ActivationOut(Answer):
    """How far an activation is. The model before serves until the state is `done`."""

    version: str = Field(examples=["finetune-1"])
    state: ActivationState
    done: int = Field(description="References looked at.", examples=[120])
    total: int = Field(description="References to look at; 0 if all are embedded.", examples=[500])
    code: str | None = Field(description="Code of the problem, if it failed.")
    error: str | None = Field(description="Why it failed.")
    warnings: list[str] = Field(
        description="Once it is done: whom it can't price any more, as the one before could."
    )


class ModelsOut(Answer):
    """All versions, and the activation that runs or was the last one."""

    models: list[ListedModelOut]
    activation: ActivationOut | None


class ModelDetailOut(Answer):
    """What a version says about itself."""

    version: str
    manifest: dict[str, Any] = Field(description="manifest.json, without the paths of this machine")
    model_card: str = Field(description="Markdown.")


class ActivateOut(Answer):
    """An activation that is done, or goes on in the background."""

    activation: ActivationOut
    status_url: Literal["/models"] = "/models"
