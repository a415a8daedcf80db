"""Training the Siamese head on embeddings: `sigmoid(bias - weights . |a - b|)`, weights >= 0."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats
from app.domain.scoring import L1Head, sigmoid

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class HeadTraining:
    """Hyper-parameters, with their reasons.

    Attributes:
        steps: Batches; the loss has settled long before.
        batch: Pairs of each kind in a batch: half are of one person, so that 0.5 is the
            probability at which both errors weigh the same, as in the seed tutorial.
        hard_share: Share of the impostor pairs that are drawn from each photo's nearest
            strangers; random strangers alone are too easy to move the weights.
        neighbours: How many nearest strangers of a photo count as hard.
        rate: Step size of Adam, falling to zero along a cosine.
        decay: Pull towards equal weights, because free weights overfit small sets of pairs.
        seed: Of the drawing of pairs.
    """

    steps: int = 3000
    batch: int = 512
    hard_share: float = 0.25
    neighbours: int = 20
    rate: float = 0.05
    decay: float = 1e-4
    seed: int = 20261123


def train_head(embeddings: Floats, identities: Indices, config: HeadTraining) -> L1Head:
    """Fit the head by binary cross-entropy.

    Args:
        embeddings: Shape (n, d).
        identities: Shape (n,), numbers.
        config: Hyper-parameters.
    """
    generator = np.random.default_rng(config.seed)
    genuine = _genuine_pairs(identities)
    hard = _nearest_strangers(embeddings, identities, config.neighbours)
    dimension = embeddings.shape[1]
    parameters = np.concatenate([np.full(dimension, 1.0), [3.0]])
    adam = _Adam(len(parameters))
    for step in range(config.steps):
        first, second = _draw(generator, genuine, hard, identities, config)
        distance = np.abs(embeddings[first] - embeddings[second])
        target = np.repeat([1.0, 0.0], config.batch)
        logits = (parameters[-1] - distance @ parameters[:-1]).astype(np.float32)
        error = (sigmoid(logits) - target) / len(target)
        gradient = np.concatenate([-(error @ distance), [error.sum()]])
        weights = parameters[:-1]
        gradient[:-1] += config.decay * (weights - weights.mean())
        rate = config.rate * 0.5 * (1 + np.cos(np.pi * step / config.steps))
        parameters -= rate * adam.direction(gradient)
        np.maximum(parameters[:-1], 0, out=parameters[:-1])
    return L1Head(parameters[:-1].astype(np.float32), float(parameters[-1]))


class _Adam:
    """Kingma and Ba, "Adam: A method for stochastic optimization", 2015."""

    def __init__(self, size: int) -> None:
        self._mean, self._square, self._step = np.zeros(size), np.zeros(size), 0

    def direction(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        self._step += 1
        self._mean = 0.9 * self._mean + 0.1 * gradient
        self._square = 0.999 * self._square + 0.001 * gradient**2
        mean = self._mean / (1 - 0.9**self._step)
        square = self._square / (1 - 0.999**self._step)
        return mean / (np.sqrt(square) + 1e-8)


def _genuine_pairs(identities: Indices) -> Indices:
    """All pairs of photos of one person, shape (pairs, 2)."""
    pairs = []
    for identity in np.unique(identities):
        members = np.flatnonzero(identities == identity)
        first, second = np.triu_indices(len(members), 1)
        pairs.append(np.stack([members[first], members[second]], axis=1))
    return np.concatenate(pairs)


def _nearest_strangers(embeddings: Floats, identities: Indices, count: int) -> Indices:
    """The `count` most similar photos of other people, for each photo, shape (n, count)."""
    nearest = np.empty((len(embeddings), count), np.intp)
    for start in range(0, len(embeddings), 512):
        rows = slice(start, start + 512)
        similarity = embeddings[rows] @ embeddings.T
        similarity[identities[rows, None] == identities[None]] = -np.inf
        nearest[rows] = np.argpartition(-similarity, count, axis=1)[:, :count]
    return nearest


def _draw(
    generator: np.random.Generator,
    genuine: Indices,
    hard: Indices,
    identities: Indices,
    config: HeadTraining,
) -> tuple[Indices, Indices]:
    """Indices of a batch: genuine pairs, then impostor pairs of random and of hard strangers."""
    same = genuine[generator.integers(len(genuine), size=config.batch)]
    first = generator.integers(len(identities), size=config.batch)
    second = generator.integers(len(identities), size=config.batch)
    chosen = hard[first, generator.integers(hard.shape[1], size=config.batch)]
    # A random partner may be the same person; a hard one never is.
    clash = identities[first] == identities[second]
    second = np.where(clash | (generator.random(config.batch) < config.hard_share), chosen, second)
    return np.concatenate([same[:, 0], first]), np.concatenate([same[:, 1], second])
