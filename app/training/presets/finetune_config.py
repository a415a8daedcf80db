"""Every number of the preset `finetune` in one place, with its reason."""

from dataclasses import dataclass
from typing import Final

from app.training.adaptation.views import Jitter

_JITTER: Final = Jitter(scale=(0.915, 1.05), shift=2.5, degrees=5.0)


@dataclass(frozen=True, slots=True)
class FinetuneConfig:
    """Hyper-parameters, chosen on owners other than those of any published figure.

    Attributes:
        borders: Layers that a network may be parted at, the first that it has. What lies in front
            is a general eye for faces that a few hundred photos could only spoil, and four fifths
            of the work.
        weight: Of a second end, where the base has none; where it has one, that one is trained and
            keeps its weight, so that serving takes no longer.
        views: Views of each photo that are drawn before training.
        degraded: Of these, how many are worse photos of the face: those are what an owner loses.
        jitter: What the views are drawn from, as for the default bundle.
        owner_photos: Most photos of the owner that are trained on; further ones add little.
        strangers: Most photos of other people; bounds time and memory however large the folder is.
        hard_share: Of the strangers, how many are those most alike to the owner; the rest are
            drawn evenly, because they stand for everyone who must not suffer.
        owners_in_batch: Photos of the owner in a batch.
        strangers_in_batch: Photos of others in it.
        epochs: At most; about a minute on two cores.
        steps: Batches in an epoch, after which validation looks and a checkpoint is written.
        patience: Epochs without a gain on validation after which training stops. The first two
            usually lose: step size and bank have yet to settle.
        rate: Largest step size of Adam.
        warm_up: Steps until it is reached.
        contrast_weight: Of the metric-learning term, beside the pair cross-entropy's 1.
        distillation_weight: How dearly it is paid to move the embedding of strangers.
        scale: Inverse temperature of the contrast.
        momentum: What a row of the bank keeps of itself.
        share: Of the way from the base's weights to the trained ones that is gone in the end. The
            first part of the way gains most for the owner, the last part costs strangers most
            (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022).
        validation_views: Views of each validation photo, half of them degraded.
        seed: Of all that is drawn; the job's.
    """

    borders: tuple[str, ...] = ("stage2_block2_out",)
    weight: float = 0.3
    views: int = 12
    degraded: int = 8
    jitter: Jitter = _JITTER
    owner_photos: int = 400
    strangers: int = 400
    hard_share: float = 0.5
    owners_in_batch: int = 64
    strangers_in_batch: int = 96
    epochs: int = 6
    steps: int = 10
    patience: int = 4
    rate: float = 1e-4
    warm_up: int = 10
    contrast_weight: float = 0.5
    distillation_weight: float = 4.0
    scale: float = 32.0
    momentum: float = 0.5
    share: float = 0.5
    validation_views: int = 4
    seed: int = 0
