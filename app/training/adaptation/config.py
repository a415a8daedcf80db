"""Every number of the adaptation in one place, with its reason."""

from dataclasses import dataclass
from typing import Final

from app.training.adaptation.views import Jitter, View

_JITTER: Final = Jitter(scale=(0.915, 1.05), shift=2.5, degrees=5.0)


@dataclass(frozen=True, slots=True)
class AdaptationConfig:
    """Hyper-parameters, chosen on validation identities (docs/accuracy.md has the trials).

    Attributes:
        frozen_to: Last layer that is kept as published. What it gives for each view is computed
            once; 4.4 of the 5.6 million parameters lie behind it, but only a fifth of the work,
            so a second end costs little time.
        views: Views of each photo that are drawn before training.
        degraded: Of these, how many are worse photos of the face; the teacher sees good ones.
        jitter: What the views are drawn from.
        teacher_views: Views whose mean, unit length, is what a single view should give.
        steps: Batches. The loss has settled, and validation no longer gains.
        people: Identities in a batch, each with two photos.
        wild_share: Share of people from the set of uncropped photos, which has few identities.
        rate: Step size of Adam, after a warm-up, falling to a fiftieth along a cosine.
        warm_up: Steps.
        distillation_weight: How dearly leaving the teacher is paid; free training on so few
            people forgets what the published weights know of others.
        scale: Inverse temperature of the contrast.
        momentum: What a row of the bank keeps of itself.
        average: Momentum of the average over steps that training ends with.
        weight: Of the trained end in the sum; the published one has 1. What these few people
            teach goes at the expense of others, so it is small: on uncropped validation photos
            0.2 to 0.5 gain alike, and more than 1. There the sum of two ends is also better than
            one end with weights between theirs.
        seed: Of views and batches.
    """

    frozen_to: str = "stage2_block2_out"
    views: int = 14
    degraded: int = 4
    jitter: Jitter = _JITTER
    teacher_views: tuple[View, ...] = (
        View(),
        View(mirrored=True),
        View(scale=0.95),
        View(scale=0.95, mirrored=True),
        View(scale=1.05),
        View(scale=1.05, mirrored=True),
    )
    steps: int = 600
    people: int = 128
    wild_share: float = 0.3
    rate: float = 1e-4
    warm_up: int = 30
    distillation_weight: float = 4.0
    scale: float = 64.0
    momentum: float = 0.5
    average: float = 0.98
    weight: float = 0.3
    seed: int = 20261124
