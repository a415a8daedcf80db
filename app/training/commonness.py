"""How alike strangers look to a face, learned from training identities.

Some faces, and most poor photos, resemble many strangers, so one threshold on the cosine lets them
match too easily. The remedy of speaker verification is to subtract the mean score against a cohort
of strangers (Auckenthaler et al., "Score normalization for text-independent speaker verification
systems", 2000; its adaptive form takes the nearest only). A bundle must not carry the embeddings of
a cohort, which are biometric data, so a quadratic form is fitted to what the cohort would say.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats
from app.training.export import Precision, to_tflite

Matrix = NDArray[np.float64]

_UNIT: Final = 0.1
"""Embeddings differ from their mean by about this in each number; the form is fitted in it."""


@dataclass(frozen=True, slots=True)
class CommonnessConfig:
    """Hyper-parameters.

    Attributes:
        nearest: Strangers, one photo each, whose mean cosine is a face's commonness.
        ridge: Penalty of the fit.
        weights: Shares of it that may be subtracted; half is the symmetric form of the
            literature. Every build takes the one that validation identities prefer, and with 0
            the bundle has no commonness.
    """

    nearest: int = 20
    ridge: float = 3.0
    weights: tuple[float, ...] = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)


@dataclass(frozen=True, slots=True)
class Commonness:
    """The quadratic form `z . matrix . z + vector . z + constant` of `z = (x - middle) / 0.1`.

    Attributes:
        middle: Shape (d,).
        matrix: Shape (d, d), symmetric.
        vector: Shape (d,).
        constant: For an embedding at `middle`.
    """

    middle: Matrix
    matrix: Matrix
    vector: Matrix
    constant: float

    def __call__(self, embeddings: Floats) -> Floats:
        """Commonness of unit-length embeddings: (n, d) gives (n,)."""
        z = (embeddings - self.middle) / _UNIT
        values = ((z @ self.matrix) * z).sum(axis=1) + z @ self.vector + self.constant
        return np.asarray(values, np.float32)

    def weighted(self, weight: float) -> "Commonness":
        """`weight` times the form."""
        return Commonness(
            self.middle, weight * self.matrix, weight * self.vector, weight * self.constant
        )

    def tflite(self) -> bytes:
        """The network (n, d) to (n, 1) that serves."""
        return to_tflite(self._network(), Precision.FLOAT32)

    def _network(self) -> Any:
        import keras

        dimension = len(self.middle)
        embedding = keras.Input((dimension,), name="embedding")
        shifted = keras.layers.Dense(dimension, name="shifted")
        bent = keras.layers.Dense(dimension, name="bent")
        z = shifted(embedding)
        # z . (matrix . z + vector) is the form without its constant.
        product = keras.layers.Multiply(name="product")([z, bent(z)])
        total = keras.layers.Dense(1, name="commonness")
        model = keras.Model(embedding, total(product), name="commonness")
        shifted.set_weights([np.eye(dimension) / _UNIT, -self.middle / _UNIT])
        bent.set_weights([self.matrix, self.vector])
        total.set_weights([np.ones((dimension, 1)), np.array([self.constant])])
        return model


def fit_commonness(
    embeddings: Floats, identities: NDArray[np.intp], config: CommonnessConfig
) -> Commonness:
    """Fit by ridge regression on all products of two numbers of an embedding.

    Args:
        embeddings: Unit length, shape (n, d).
        identities: Shape (n,), numbers.
        config: Hyper-parameters.
    """
    target = cohort_mean(embeddings, identities, config.nearest)
    middle = embeddings.mean(axis=0).astype(np.float64)
    z = (embeddings - middle) / _UNIT
    # The kernel of the products, so that n numbers are solved for instead of d * d.
    inner = z @ z.T
    kernel = 1 + inner + inner * inner
    mean = float(target.mean())
    kernel[np.diag_indices(len(z))] += config.ridge
    dual = np.linalg.solve(kernel, target - mean)
    matrix = z.T @ (dual[:, None] * z)
    return Commonness(middle, matrix, z.T @ dual, mean + float(dual.sum()))


def cohort_mean(embeddings: Floats, identities: NDArray[np.intp], nearest: int) -> Matrix:
    """Mean cosine of each photo to its nearest strangers, each by their first photo, (n,)."""
    people, first = np.unique(identities, return_index=True)
    cosines = embeddings @ embeddings[first].T
    cosines[identities[:, None] == people[None]] = -np.inf
    nearest = min(nearest, len(people) - 1)
    best = np.partition(cosines, -nearest, axis=1)[:, -nearest:]
    return np.asarray(best.mean(axis=1), np.float64)
