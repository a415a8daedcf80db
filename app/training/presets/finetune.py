"""The preset `finetune`: the active bundle's embedding, taught to know its owner better.

The network is parted where the default bundle's adaptation parted it. The layers in front stay, so
their output is computed once for each drawn view; the second end behind them is trained with the
Siamese head, by the cross-entropy of pairs, a contrast of the owner against everyone, and a pull
that keeps strangers where the base puts them. Two thirds of the views are poor photos of the face.
"""

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from app.domain.entities import Floats
from app.domain.scoring import L1Head
from app.domain.training import Monitor, TrainingOptions
from app.inference.bundle import Bundle
from app.training.adaptation.optimizer import cosine_adam
from app.training.adaptation.runner import Runner
from app.training.data.dataset import Dataset
from app.training.data.split import Split
from app.training.keras_file import load_keras
from app.training.presets.checkpoint import Checkpoints
from app.training.presets.finetune_config import FinetuneConfig
from app.training.presets.finetune_network import PartedNetwork, copy_of, parted
from app.training.presets.finetune_photos import SeenPhotos, both_sides, look_at
from app.training.presets.finetune_training import ViewBatches, validate
from app.training.presets.finetune_twin import finetuning_twin
from app.training.presets.identity import training_identity
from app.training.presets.loop import Plan, fit
from app.training.presets.trained import Trained

VALIDATION = "share of the owner's pairs that the head decides right, both kinds weighing the same"


def train_finetune(  # noqa: PLR0917 - every preset is called alike
    dataset: Dataset,
    split: Split,
    base: Bundle,
    options: TrainingOptions,
    checkpoints: Checkpoints,
    monitor: Monitor,
    threads: int,
    *,
    config: FinetuneConfig | None = None,
) -> Trained:
    """Finetune the embedding of `base` to the owner of `dataset`.

    Args:
        dataset: Photos of the owner and of other people.
        split: Train and validation are looked at; test never is.
        base: What to start from.
        options: Of the job; its seed decides all that is drawn.
        checkpoints: Gone on from, if there is one.
        monitor: Told how far it is; it may stop the training.
        threads: Faces in work at once in the layers that stay, and batches in preparation.
        config: Hyper-parameters; None for the preset's own.

    Raises:
        BundleError: If the base's network can't be parted.
        TrainingDataError: If there is too little to train on.
        JobStoppedError: If the monitor asks for it.
    """
    config = replace(config or FinetuneConfig(), seed=options.seed)
    section = base.manifest.embedding
    network = parted(
        load_keras(base.directory, section.keras),
        config.borders,
        config.weight,
        version=base.manifest.version,
    )
    template = base.manifest.alignment.template()
    dimension = network.single.output.shape[-1]
    faces = replace(dataset, embeddings=_unit(dataset.embeddings[:, :dimension]))
    train, valid = both_sides(faces, split, config, options.seed)
    trunk = Runner(network.trunk, threads)
    seen = look_at(faces, train, trunk, config, template, monitor=monitor, what="training photos")
    checked: SeenPhotos | None = None
    if len(valid):
        drawing = validation_drawing(config)
        checked = look_at(
            faces, valid, trunk, drawing, template, monitor=monitor, what="validation photos"
        )
    epochs = options.epochs or config.epochs
    head = base.manifest.decider(base.calibration).head
    twin = finetuning_twin(network, _face_head(head, seen), seen.embeddings, seen.people, config)
    twin.compile(
        optimizer=cosine_adam(config.rate, steps=epochs * config.steps, warm_up=config.warm_up)
    )
    twin(np.asarray(seen.features[0, :1], np.float32))  # makes its weights
    batches = ViewBatches(seen, config)
    document = _document(config, epochs, seen, checked)
    plan = Plan(
        model=twin,
        batches=lambda steps: batches.prepared(steps, threads),
        steps=config.steps,
        epochs=epochs,
        validate=lambda: validate(twin, checked) if checked else None,
        identity=training_identity(dataset, split, base, document),
        patience=config.patience if checked else None,
        beginning_counts=True,
    )
    history = fit(plan, checkpoints, monitor)
    end, head = part_of_the_way(network, head, twin, config.share)
    return Trained(
        model=network.joined(end),
        template=template,
        central=False,
        mean=section.mean,
        scale=section.scale,
        mirror=section.mirror,
        unit_length=section.unit_length,
        head=head,
        history=history,
        config=document,
        architecture="with_second_end",
        # Strangers stay where they were, so how common a face is reads as before.
        commonness=base.networks[section.commonness] if section.commonness else None,
    )


def validation_drawing(config: FinetuneConfig) -> FinetuneConfig:
    """What views validation photos are seen in: others than training's, half of them degraded."""
    views = config.validation_views
    return replace(config, views=views, degraded=views // 2, seed=config.seed + 1)


def _unit(embeddings: Floats) -> Floats:
    length = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.asarray(embeddings / np.maximum(length, 1e-12), np.float32)


def _face_head(head: L1Head, seen: SeenPhotos) -> L1Head:
    """The head without its weight for a commonness."""
    return L1Head(head.weights[: seen.embeddings.shape[1]], head.bias)


def part_of_the_way(
    network: PartedNetwork, head: L1Head, twin: Any, share: float
) -> tuple[Any, L1Head]:
    """End and head between the base's, at `share` 0, and the trained ones, at 1.

    The head's weight for a commonness stays the base's.
    """
    end = copy_of(network.second)
    pairs = zip(network.second.get_weights(), twin.second.get_weights(), strict=True)
    end.set_weights([base + share * (trained - base) for base, trained in pairs])
    slopes = twin.slopes.numpy()
    weights = head.weights.copy()
    weights[: len(slopes)] += share * (slopes - weights[: len(slopes)])
    return end, L1Head(weights, head.bias + share * (float(twin.bias.numpy()) - head.bias))


def _document(
    config: FinetuneConfig, epochs: int, seen: SeenPhotos, checked: SeenPhotos | None
) -> dict[str, Any]:
    counts = {"photos_of_the_owner": seen.owners, "strangers": len(seen.people) - seen.owners}
    if checked:
        counts["validation_photos_of_the_owner"] = checked.owners
        counts["validation_strangers"] = len(checked.people) - checked.owners
    return asdict(config) | {"epochs": epochs, "validation": VALIDATION} | counts
