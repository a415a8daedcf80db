"""Adapt the published embedding to this service's own detector, alignment and photos.

A teacher, the published network's mean over several views of a face, says where each photo of the
training identities belongs; a contrastive loss parts people that it confuses. The early layers
stay as published, so their output is computed once for each of a fixed number of views.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from app.domain.entities import Floats
from app.training.adaptation.batches import PairBatches
from app.training.adaptation.config import AdaptationConfig
from app.training.adaptation.faces import WideFaces
from app.training.adaptation.features import frozen_features, teacher_embeddings
from app.training.adaptation.twin import adapting_twin

Report = Callable[[str, int, int], None]

WILD_FOLDER = "celeba-wild"


def adapt(network: Any, faces: WideFaces, config: AdaptationConfig, report: Report) -> None:
    """Train the layers of `network` behind `config.frozen_to`, in place.

    Args:
        network: The embedding network with its published weights.
        faces: Of the training identities.
        config: Hyper-parameters.
        report: Told (stage, done, total).
    """
    import keras

    targets = teacher_embeddings(
        network, faces, config.teacher_views, lambda d, n: report("ask the teacher", d, n)
    )
    border = network.get_layer(config.frozen_to).output
    frozen = keras.Model(network.inputs, border)
    tail = keras.Model(border, network.output)
    wild = np.array([is_wild(image.path) for image in faces.images])
    twin = adapting_twin(
        tail,
        targets,
        faces.identities,
        distillation_weight=config.distillation_weight,
        scale=config.scale,
        momentum=config.momentum,
    )
    twin.compile(optimizer=_optimizer(config))
    published = [np.array(weight) for weight in tail.get_weights()]
    with frozen_features(
        frozen, faces, config, lambda d, n: report("draw views", d, n)
    ) as features:
        batches = PairBatches(features, faces.identities, wild, config)
        for step in range(config.steps):
            batch, rows = batches.batch(step)
            twin.train_on_batch(batch, rows)
            report("adapt the embedding", step + 1, config.steps)
    twin.optimizer.finalize_variable_values(twin.trainable_variables)
    tail.set_weights(between(published, tail.get_weights(), config.share))


def between(start: Sequence[Floats], end: Sequence[Floats], share: float) -> list[Floats]:
    """Weights that lie the `share` of the way from `start` to `end`."""
    return [a + np.float32(share) * (b - a) for a, b in zip(start, end, strict=True)]


def is_wild(photo: Path) -> bool:
    """Whether a photo is of CelebA's uncropped set."""
    return photo.parent.parent.name == WILD_FOLDER


def _optimizer(config: AdaptationConfig) -> Any:
    import keras

    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=config.rate / 20,
        decay_steps=max(config.steps - config.warm_up, 1),
        alpha=0.02,
        warmup_target=config.rate,
        warmup_steps=config.warm_up,
    )
    return keras.optimizers.Adam(schedule, beta_2=0.99, use_ema=True, ema_momentum=config.average)
