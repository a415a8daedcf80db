"""`/models`: the versions of the model, and which of them serves."""

from typing import Final

from anyio import to_thread
from fastapi import APIRouter, Response, status

from app.api.dependencies import ActorDep, RuntimeDep, ServingDep, SettingsDep
from app.api.model_schemas import (
    ActivateOut,
    ActivationOut,
    ListedModelOut,
    ModelDetailOut,
    ModelsOut,
)
from app.api.openapi import problems
from app.api.schemas import SelfTestOut
from app.domain.models import ActivationStatus
from app.model_list import ListedModel, list_models

PATIENCE_SECONDS: Final = 5.0
"""How long a request waits for an activation; one that embeds nothing takes less."""

router = APIRouter(prefix="/models", tags=["models"])


@router.get("", summary="Versions of the model", responses=problems("storage_unavailable"))
def get_models(serving: ServingDep, runtime: RuntimeDep) -> ModelsOut:
    """All versions that are there, damaged ones too, and how far an activation is."""
    listed = list_models(serving.bundles, runtime.database, runtime)
    activation = serving.activation
    return ModelsOut(
        models=[_listed(model) for model in listed],
        activation=_activation(activation) if activation else None,
    )


@router.get(
    "/{version}",
    summary="One version of the model",
    responses=problems("invalid_request", "model_not_found", "bundle_invalid"),
)
def get_model(version: str, serving: ServingDep) -> ModelDetailOut:
    """Manifest and model card."""
    found = serving.bundles.describe(version)
    return ModelDetailOut(version=version, manifest=dict(found.manifest), model_card=found.card)


@router.post(
    "/{version}/activate",
    summary="Let a version serve",
    responses={
        202: {"model": ActivateOut, "description": "It goes on; `status_url` tells how far it is."},
        **problems(
            "invalid_request",
            "model_not_found",
            "bundle_invalid",
            "unsupported_fmr",
            "activation_running",
            "overloaded",
            "storage_unavailable",
        ),
    },
)
async def activate(
    version: str,
    serving: ServingDep,
    settings: SettingsDep,
    actor: ActorDep,
    response: Response,
) -> ActivateOut:
    """Check the version, embed every reference by it, then let it serve; also the way back.

    Requests go on meanwhile, and finish on the version that they began with. If anything fails,
    the version before goes on serving.
    """
    activation = await to_thread.run_sync(serving.activate, version, actor)
    patience = min(PATIENCE_SECONDS, settings.request_timeout / 2)
    if not await to_thread.run_sync(activation.wait, patience, abandon_on_cancel=True):
        response.status_code = status.HTTP_202_ACCEPTED
    elif activation.error is not None:
        raise activation.error
    return ActivateOut(activation=_activation(activation.status))


def _listed(model: ListedModel) -> ListedModelOut:
    bundle = model.bundle
    return ListedModelOut(
        version=bundle.version,
        fingerprint=bundle.fingerprint,
        created=bundle.created,
        preset=bundle.preset,
        active=model.active,
        serving=model.serving,
        references=model.references,
        bytes=bundle.bytes,
        licence=bundle.licence,
        self_test=SelfTestOut.model_validate(model.self_test) if model.self_test else None,
        problem=bundle.problem,
    )


def _activation(found: ActivationStatus) -> ActivationOut:
    return ActivationOut(
        version=found.version,
        state=found.state,
        done=found.done,
        total=found.total,
        code=found.code,
        error=found.message,
        warnings=list(found.warnings),
    )
