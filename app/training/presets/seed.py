"""The preset `seed`: the seed tutorial's network and training, to the letter.

Network, loss, optimizer, batch, epochs, augmentation and the numbers of pairs are the tutorial's.
What differs, and why:

- Only the train side of the split is trained on, and only there is augmented. The tutorial's split
  reshuffles at every pass, so that it tests on what it trained on.
- Pairs are drawn from all combinations, a share of them with the anchor's nearest strangers. The
  tutorial zips its folders.
- Strangers' photos are augmented as the owner's are. The tutorial augments the owner's alone, so
  that its network can tell them by their compression.
- The head's weights can't fall below zero (networks/siamese.py). The service compares by a head
  whose score never rises when embeddings move apart; clipping afterwards would serve another
  network than the one that was trained. So the head's bias is the highest logit there is, and
  begins above zero.
- Where a GPU or the CPU multiplies it, all layers but the last run in half precision.
- The sigmoid is inside the loss, where it can't overflow.
- The best epoch on the validation side is served. The tutorial takes the last.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats
from app.domain.scoring import L1Head
from app.domain.training import Crop, Monitor, Pooling, TrainingOptions
from app.inference.align import AlignmentTemplate
from app.inference.bundle import Bundle
from app.training.data.dataset import Dataset
from app.training.data.split import Split
from app.training.datasets import Side
from app.training.leavings import empty, let_go
from app.training.networks import SEED_INPUT, SEED_SCALE, seed_network, siamese
from app.training.presets.backend import precision, prepare
from app.training.presets.batches import Faces
from app.training.presets.checkpoint import Checkpoints
from app.training.presets.identity import training_identity
from app.training.presets.loop import Plan, fit
from app.training.presets.losses import pair_cross_entropy
from app.training.presets.owner_pairs import OwnerPairs
from app.training.presets.pair_batches import PairBatches
from app.training.presets.pairs import MAX_PAIRS, PairDrawing
from app.training.presets.placement import whole_face
from app.training.presets.trained import EpochRecord, Trained

_FACES_BYTES: Final = 64 * 1024**2
"""Faces that are kept in memory: weights, moments and gradients leave little of 3 GB."""

VALIDATION: Final = "share of the owner's pairs that the head decides right, both kinds alike"


@dataclass(frozen=True, slots=True)
class SeedConfig:
    """Hyper-parameters; all but the last three are the tutorial's.

    Attributes:
        epochs: Planned.
        rate: Step size of Adam.
        batch: Pairs.
        pairs: Of a kind in an epoch, at most.
        hard_share: Share of the impostor pairs with one of the anchor's nearest strangers: half,
            so that training sees both whom it is likely to confuse and everyone else.
        nearest: Share of the strangers that count as nearest.
    """

    epochs: int = 50
    rate: float = 1e-4
    batch: int = 16
    pairs: int = MAX_PAIRS
    hard_share: float = 0.5
    nearest: float = 0.1


def train_seed(  # noqa: PLR0917 - every preset is called alike
    dataset: Dataset,
    split: Split,
    base: Bundle,
    options: TrainingOptions,
    checkpoints: Checkpoints,
    monitor: Monitor,
    threads: int,
    *,
    config: SeedConfig | None = None,
) -> Trained:
    """Train the tutorial's network on the owner's photos.

    Args:
        dataset: Photos of the owner and of other people.
        split: Train and validation are looked at; test never is.
        base: Its embeddings tell near strangers from far ones, and its template the shape of a
            face; none of its weights are used.
        options: Of the job.
        checkpoints: Gone on from, if there is one of this training.
        monitor: Told how far it is; it may stop the training.
        threads: Batches in preparation at once, and those of TensorFlow.
        config: Hyper-parameters; None for the preset's own.

    Raises:
        TrainingDataError: If there is no pair to train on, or training ran away.
        JobStoppedError: If the monitor asks for it.
    """
    config = config or SeedConfig()
    template = whole_face(base.manifest.alignment.template(), SEED_INPUT)
    central = options.crop is Crop.CENTRAL
    faces = Faces(_crops(dataset, template, central=central), _FACES_BYTES)
    drawing = _drawing(dataset, split, base, options, config)
    batches = PairBatches(drawing, faces, config.batch, options.seed)
    policy = prepare(options.seed, threads, mixed_on_cpu=True)
    described = _described(config, options, policy, drawing)
    pairs = OwnerPairs(dataset, split.rows(Side.VALIDATION), faces)

    def plan(network: Any, model: Any) -> Plan:
        return Plan(
            model=model,
            batches=lambda steps: batches.prepared(steps, threads),
            steps=batches.steps,
            epochs=described["epochs"],
            validate=lambda: pairs.validate(network, _head(model), monitor),
            # A training of more epochs begins like one of fewer, as the step size never changes.
            identity=training_identity(dataset, split, base, described | {"epochs": None}),
        )

    with precision(policy):
        weights, head, history = _fitted(plan, options.pooling, config, checkpoints, monitor)
    return Trained(
        model=_served(weights, options.pooling),
        template=template,
        central=central,
        mean=(0.0, 0.0, 0.0),
        scale=SEED_SCALE,
        mirror=False,
        unit_length=False,
        head=head,
        history=history,
        config=described,
        architecture=seed_network.__name__,
    )


def _fitted(
    plan: Callable[[Any, Any], Plan],
    pooling: Pooling,
    config: SeedConfig,
    checkpoints: Checkpoints,
    monitor: Monitor,
) -> tuple[list[NDArray[Any]], L1Head, tuple[EpochRecord, ...]]:
    """Weights of the embedding, the head and every epoch: all that outlives the training.

    Args:
        plan: Of training an embedding and the Siamese network around it.
        pooling: Of the embedding.
        config: Hyper-parameters.
        checkpoints: Gone on from, if there is one of this training.
        monitor: Told how far it is.
    """
    network = seed_network(pooling)
    model = _compiled(network, config)
    history = fit(plan(network, model), checkpoints, monitor)
    weights, head = network.get_weights(), _head(model)
    empty(model)
    return weights, head, history


def _served(weights: list[NDArray[Any]], pooling: Pooling) -> Any:
    """The embedding in single precision, where model and moments of the training have been."""
    let_go()
    network = seed_network(pooling)
    network.set_weights(weights)
    return network


def _crops(dataset: Dataset, template: AlignmentTemplate, *, central: bool) -> Any:
    """What gives the crop of a row: the middle of the photo, or the aligned face."""
    if central:
        return lambda row: dataset.central(row, SEED_INPUT)
    return lambda row: dataset.faces(row, template, 0)


def _drawing(
    dataset: Dataset, split: Split, base: Bundle, options: TrainingOptions, config: SeedConfig
) -> PairDrawing:
    return PairDrawing(
        dataset,
        split.rows(Side.TRAIN),
        embeddings=_of_faces(dataset.embeddings, base),
        seed=options.seed,
        hard_share=config.hard_share,
        nearest=config.nearest,
        most=config.pairs,
    )


def _of_faces(embeddings: Floats, base: Bundle) -> Floats:
    """Embeddings without the commonness, if the base's have one."""
    return embeddings[:, :-1] if base.manifest.embedding.commonness else embeddings


def _compiled(network: Any, config: SeedConfig) -> Any:
    import keras

    model = siamese(network)
    model.compile(
        optimizer=keras.optimizers.Adam(config.rate),
        loss=lambda same, logits: pair_cross_entropy(logits[:, 0], same[:, 0]),
        jit_compile=False,
    )
    return model


def _head(model: Any) -> L1Head:
    kernel, bias = (np.asarray(value) for value in model.get_layer("head").weights)
    return L1Head(kernel[:, 0].astype(np.float32), float(bias[0]))


def _described(
    config: SeedConfig, options: TrainingOptions, policy: str, drawing: PairDrawing
) -> dict[str, Any]:
    return asdict(config) | {
        "epochs": options.epochs or config.epochs,
        "seed": options.seed,
        "crop": options.crop.value,
        "pooling": options.pooling.value,
        "precision": policy,
        "pairs": 2 * drawing.kind,
        "loss": "binary cross-entropy",
        "optimizer": "Adam",
        "validation": VALIDATION,
    }
