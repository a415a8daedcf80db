"""Which photos of a set are degraded as probes, and which are the references they are held to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.training.datasets import LabelledImage
from app.training.embedding_set import EmbeddingSet
from app.training.evaluation.pairing import Rows, cross_impostor_pairs

REFERENCES_PER_IDENTITY: Final = 10


@dataclass(frozen=True, slots=True)
class ProbeSample:
    """Photos of people with at least two.

    Attributes:
        images: Probes and references, each photo once.
        probes: How many of them, from the first on, are probes; all are references.
    """

    images: tuple[LabelledImage, ...]
    probes: int


def draw_sample(images: Sequence[LabelledImage], *, probes: int, seed: int) -> ProbeSample:
    """Draw probes from as many people as possible, and up to ten references of each of them.

    Args:
        images: The set.
        probes: Most photos to degrade.
        seed: Of the draw.
    """
    generator = np.random.default_rng(seed)
    turns = _turns(images, generator)
    chosen = turns[:probes]
    people = {images[row].identity for row, _ in chosen}
    rest = [
        row
        for row, turn in turns[probes:]
        if turn < REFERENCES_PER_IDENTITY and images[row].identity in people
    ]
    rows = [row for row, _ in chosen] + rest
    return ProbeSample(tuple(images[row] for row in rows), len(chosen))


def _turns(
    images: Sequence[LabelledImage], generator: np.random.Generator
) -> list[tuple[int, int]]:
    """Rows in the order of the draw, with each photo's place among those of its person."""
    counts: dict[str, int] = {}
    turns = []
    for row in generator.permutation(len(images)).tolist():
        identity = images[row].identity
        turns.append((row, counts.setdefault(identity, 0)))
        counts[identity] += 1
    several = [(row, turn) for row, turn in turns if counts[images[row].identity] > 1]
    return sorted(several, key=lambda pair: pair[1])


def probe_pairs(photos: EmbeddingSet, probes: int, *, seed: int) -> tuple[Rows, Rows]:
    """Genuine and impostor pairs (probe, reference) of photos that are usable as they are.

    Args:
        photos: The sample, embedded.
        probes: How many of the photos are probes.
        seed: Of drawing impostor pairs, where there are very many.

    Returns:
        Rows of `photos`: all genuine pairs, then impostor pairs.
    """
    references = np.flatnonzero(photos.usable)
    probed = references[references < probes]
    same = photos.identities[probed][:, None] == photos.identities[references]
    same &= probed[:, None] != references
    first, second = np.nonzero(same)
    strangers = cross_impostor_pairs(
        photos.identities, (probed, references), np.random.default_rng(seed)
    )
    return (probed[first], references[second]), strangers
