"""The preset `compact`: a small modern embedding from scratch, for a real dataset of many people.

It starts from no weights of anybody, so all that it knows of faces are the photos it is given:
thousands of people, and a GPU, are what it is made for. On few people it learns to tell these.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from app.domain.entities import Floats, Pixels
from app.domain.scoring import L1Head
from app.domain.training import Monitor, TrainingOptions
from app.inference.bundle import Bundle
from app.training.adaptation.faces import MARGIN
from app.training.adaptation.views import Jitter
from app.training.data.dataset import Dataset
from app.training.data.photos import OWNER
from app.training.data.split import Split
from app.training.datasets import Side
from app.training.head import HeadTraining, train_head
from app.training.networks import COMPACT_INPUT, compact_network
from app.training.presets.backend import MIXED, precision, prepare
from app.training.presets.batches import Faces
from app.training.presets.checkpoint import Checkpoints
from app.training.presets.compact_photos import MEAN, SCALE, Augmentation, ClassBatches, Indices
from app.training.presets.identity import training_identity
from app.training.presets.loop import Plan, fit
from app.training.presets.margin_model import Margin, margin_model
from app.training.presets.placement import arcface_crop
from app.training.presets.trained import Trained
from app.training.presets.verification import RATES, VerifiedPeople

VALIDATION: Final = f"true accept rate of unseen people, mean over FMR {RATES}"

_AUGMENTATION: Final = Augmentation(Jitter((0.92, 1.08), 4.0, 8.0), degraded=0.2)


@dataclass(frozen=True, slots=True)
class CompactConfig:
    """Hyper-parameters.

    Attributes:
        epochs: At most.
        batch: Photos.
        cpu_batch: Photos at most without a GPU: each takes 50 MB of memory in a step, of the 3 GB
            that a job has.
        rate: Largest step size, of gradient descent with momentum; for smaller batches on a CPU it
            is smaller alike.
        momentum: Of the descent.
        warm_up: Epochs in which the step size rises; then it falls to zero along a cosine.
        decay: Share of all weights but slopes, offsets and normalisations that a step takes off,
            times its size; the momentum does not add to it.
        margin: Between people.
        augmentation: Of each crop.
        patience: Epochs without a better one that end the training.
        head_steps: Of fitting the Siamese head to the finished embedding.
    """

    epochs: int = 60
    batch: int = 128
    cpu_batch: int = 24
    rate: float = 0.1
    momentum: float = 0.9
    warm_up: int = 2
    decay: float = 5e-4
    margin: Margin = Margin.ADAFACE
    augmentation: Augmentation = _AUGMENTATION
    patience: int = 15
    head_steps: int = 1000


def train_compact(  # noqa: PLR0917 - every preset is called alike
    dataset: Dataset,
    split: Split,
    base: Bundle,
    options: TrainingOptions,
    checkpoints: Checkpoints,
    monitor: Monitor,
    threads: int,
    *,
    config: CompactConfig | None = None,
) -> Trained:
    """Train a small embedding on people with two photos or more; the owner is one of them.

    Args:
        dataset: Photos of many people.
        split: Train and validation are looked at; test never is.
        base: Its template gives the shape of a face; none of its weights are used.
        options: Of the job.
        checkpoints: Gone on from, if there is one of this training.
        monitor: Told how far it is; it may stop the training.
        threads: Batches in preparation at once, and those of TensorFlow.
        config: Hyper-parameters; None for the preset's own.

    Raises:
        TrainingDataError: If fewer than two people have two photos, or training ran away.
        JobStoppedError: If the monitor asks for it.
    """
    policy = prepare(options.seed, threads)
    config = fitting(config or CompactConfig(), policy)
    template = arcface_crop(base.manifest.alignment.template(), COMPACT_INPUT)
    faces = Faces(lambda row: dataset.faces(row, template, MARGIN))
    batches = ClassBatches(
        dataset,
        split.rows(Side.TRAIN),
        faces,
        config.augmentation,
        batch=config.batch,
        seed=options.seed,
    )
    described = _described(config, options, policy, batches)
    with precision(policy):
        network = compact_network()
        model = _compiled(network, batches, config, described["epochs"])
    unseen = _unseen_people(dataset, split)
    people = VerifiedPeople(dataset, unseen, lambda row: _middle(faces(row)))
    plan = Plan(
        model=model,
        batches=lambda steps: batches.prepared(steps, threads),
        steps=batches.steps,
        epochs=described["epochs"],
        validate=lambda: people.validate(network, monitor),
        identity=training_identity(dataset, split, base, described),
        patience=config.patience if people.has_both_kinds else None,
    )
    history = fit(plan, checkpoints, monitor)
    served = compact_network()
    served.set_weights(network.get_weights())
    if not people.has_both_kinds:
        people = VerifiedPeople(dataset, split.rows(Side.TRAIN), lambda row: _middle(faces(row)))
    embeddings = people.embeddings(served, monitor)
    return Trained(
        model=served,
        template=template,
        central=False,
        mean=(MEAN, MEAN, MEAN),
        scale=SCALE,
        mirror=False,
        unit_length=True,
        head=fitted_head(embeddings, people.people, steps=config.head_steps, seed=options.seed),
        history=history,
        config=described,
        architecture=compact_network.__name__,
    )


def _unseen_people(dataset: Dataset, split: Split) -> Indices:
    """Rows of the validation side without the owner, some of whose photos are trained on."""
    rows = split.rows(Side.VALIDATION)
    return np.asarray(rows[dataset.people[rows] != OWNER])


def fitting(config: CompactConfig, policy: str) -> CompactConfig:
    """The hyper-parameters for this machine.

    Steps shrink with the batch (Goyal et al., "Accurate, large minibatch SGD", 2017), so that as
    many photos move the weights as far.

    Args:
        config: For a GPU.
        policy: Precision; in full precision there is none.
    """
    if policy == MIXED:
        return config
    batch = min(config.batch, config.cpu_batch)
    return replace(config, batch=batch, rate=config.rate * batch / config.batch)


def fitted_head(embeddings: Floats, people: Indices, *, steps: int, seed: int) -> L1Head:
    """The Siamese head of a finished embedding.

    It is fitted to validation people, because the network has drawn those of the train side closer
    together than it can anyone else. Without pairs of both kinds it weighs all numbers alike.

    Args:
        embeddings: Unit length, shape (n, d).
        people: Whose they are, shape (n,).
        steps: Of fitting.
        seed: Of drawing pairs.
    """
    counts = np.unique(people, return_counts=True)[1]
    fewest_strangers = len(people) - int(counts.max())
    if fewest_strangers < 1 or counts.max() < 2:
        return L1Head(np.ones(embeddings.shape[1], np.float32), 3.0)
    numbers = np.unique(people, return_inverse=True)[1].astype(np.intp)
    neighbours = min(HeadTraining().neighbours, fewest_strangers)
    return train_head(
        embeddings, numbers, HeadTraining(steps=steps, neighbours=neighbours, seed=seed)
    )


def _middle(wide: Pixels) -> Pixels:
    return wide[MARGIN:-MARGIN, MARGIN:-MARGIN]


def _compiled(network: Any, batches: ClassBatches, config: CompactConfig, epochs: int) -> Any:
    import keras

    warm_up = min(config.warm_up, epochs - 1) * batches.steps
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warm_up else config.rate,
        decay_steps=epochs * batches.steps - warm_up,
        warmup_target=config.rate if warm_up else None,
        warmup_steps=warm_up,
    )
    optimizer = keras.optimizers.SGD(
        schedule, momentum=config.momentum, nesterov=True, weight_decay=config.decay
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "alpha", "bias"])
    model = margin_model(network, batches.classes, config.margin)
    model.compile(optimizer=optimizer, jit_compile=False)
    return model


def _described(
    config: CompactConfig, options: TrainingOptions, policy: str, batches: ClassBatches
) -> dict[str, Any]:
    return asdict(config) | {
        "epochs": options.epochs or config.epochs,
        "seed": options.seed,
        "precision": policy,
        "people": batches.classes,
        "photos": batches.photos,
        "optimizer": "SGD",
        "validation": VALIDATION,
    }
