"""Embedding networks, one readable function each, written with Keras 3 only."""

from app.training.networks.compact import COMPACT_DIMENSION, COMPACT_INPUT, compact_network
from app.training.networks.resnet29 import (
    RESNET29_INPUT,
    RESNET29_MEAN,
    RESNET29_SCALE,
    RESNET29_STAGES,
    load_resnet29,
    resnet29,
    with_second_end,
)
from app.training.networks.seed import SEED_DIMENSION, SEED_INPUT, SEED_SCALE, seed_network
from app.training.networks.siamese import siamese

__all__ = [
    "COMPACT_DIMENSION",
    "COMPACT_INPUT",
    "RESNET29_INPUT",
    "RESNET29_MEAN",
    "RESNET29_SCALE",
    "RESNET29_STAGES",
    "SEED_DIMENSION",
    "SEED_INPUT",
    "SEED_SCALE",
    "compact_network",
    "load_resnet29",
    "resnet29",
    "seed_network",
    "siamese",
    "with_second_end",
]
