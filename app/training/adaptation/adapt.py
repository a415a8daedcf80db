"""Adapt the published embedding to this service's own detector, alignment and photos.

The layers behind a border are copied, and the copy is trained: a teacher, the published network's
mean over several views of a face, says where each photo of the training identities belongs, and a
contrastive loss parts people that it confuses. Both ends serve, as a weighted sum: the copy knows
these photos better, the published end knows more people. The layers in front of the border stay as
published, so their output is computed once for each of a fixed number of views.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from app.training.adaptation.batches import PairBatches
from app.training.adaptation.config import AdaptationConfig
from app.training.adaptation.faces import WideFaces
from app.training.adaptation.features import frozen_features, teacher_embeddings
from app.training.adaptation.optimizer import cosine_adam
from app.training.adaptation.runner import Runner
from app.training.adaptation.twin import adapting_twin
from app.training.networks import with_second_end

Report = Callable[[str, int, int], None]

WILD_FOLDER = "celeba-wild"


def adapt(
    network: Any, faces: WideFaces, config: AdaptationConfig, report: Report, *, threads: int = 2
) -> Any:
    """`network` with a second end behind `config.frozen_to`, which is trained on `faces`.

    Args:
        network: The embedding network with its published weights, which it keeps.
        faces: Of the training identities.
        config: Hyper-parameters.
        report: Told (stage, done, total).
        threads: Faces in work at once in the layers that are not trained.

    Returns:
        A network from the same images to the sum of both ends, each of unit length (n, d).
    """
    import keras

    targets = teacher_embeddings(
        Runner(network, threads),
        faces,
        config.teacher_views,
        lambda d, n: report("ask the teacher", d, n),
    )
    border = network.get_layer(config.frozen_to).output
    frozen = Runner(keras.Model(network.input, border), threads)
    published = keras.Model(border, network.output)
    end = keras.models.clone_model(published)
    end.set_weights(published.get_weights())
    wild = np.array([is_wild(image.path) for image in faces.images])
    twin = adapting_twin(
        end,
        targets,
        faces.identities,
        distillation_weight=config.distillation_weight,
        scale=config.scale,
        momentum=config.momentum,
    )
    optimizer = cosine_adam(
        config.rate, steps=config.steps, warm_up=config.warm_up, average=config.average
    )
    twin.compile(optimizer=optimizer)
    with frozen_features(
        frozen, faces, config, lambda d, n: report("draw views", d, n)
    ) as features:
        batches = PairBatches(features, faces.identities, wild, config)
        for step in range(config.steps):
            batch, rows = batches.batch(step)
            twin.train_on_batch(batch, rows)
            report("adapt the embedding", step + 1, config.steps)
    twin.optimizer.finalize_variable_values(twin.trainable_variables)
    return with_second_end(network, config.frozen_to, end, config.weight)


def is_wild(photo: Path) -> bool:
    """Whether a photo is of CelebA's uncropped set."""
    return photo.parent.parent.name == WILD_FOLDER
