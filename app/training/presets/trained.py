"""What a preset hands over, to be exported, calibrated and judged."""

from dataclasses import dataclass
from typing import Any

from app.domain.scoring import L1Head
from app.inference.align import AlignmentTemplate


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """An epoch of training.

    Attributes:
        epoch: From 1.
        loss: Mean over the epoch's steps, of the weights as each step found them.
        validation_loss: On the validation side, after the epoch; None if that side has no pairs.
        validation_accuracy: The share of validation pairs that is decided right, as the preset
            defines it (`Trained.config["validation"]`); None likewise.
        learning_rate: At the last step.
        seconds: Training and validation, pauses of a killed job left out.
    """

    epoch: int
    loss: float
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained network, and all that serving it takes.

    Attributes:
        model: Keras network from preprocessed crops (n, size, size, 3) to embeddings (n, d).
        template: What faces are aligned to; its size is that of the crops.
        central: Whether crops are the middle of the photo instead (preset `seed` only).
        mean: What is subtracted from the pixels of each channel.
        scale: What the difference is multiplied by.
        mirror: Whether the mean with the mirrored face is taken.
        unit_length: Whether embeddings are then scaled to length one.
        head: The Siamese head, for embeddings as served.
        history: Every epoch, the ones after the best included.
        config: Every hyper-parameter, as JSON.
        architecture: The function in app/training/networks that builds the network.
        commonness: A .tflite network that tells how common an embedding is, which is then its
            last number; the head has a weight for it.
    """

    model: Any
    template: AlignmentTemplate
    central: bool
    mean: tuple[float, float, float]
    scale: float
    mirror: bool
    unit_length: bool
    head: L1Head
    history: tuple[EpochRecord, ...]
    config: dict[str, Any]
    architecture: str
    commonness: bytes | None = None
