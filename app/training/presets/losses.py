"""What the presets minimise, in keras.ops: pairs through the L1 head, contrasts, and margins.

All take and give float32, whatever precision the network runs in, and have finite gradients also
where two embeddings are equal, opposite or of length zero.
"""

import math
from typing import Any, Final

from app.training.adaptation.objective import contrast

EPSILON: Final = 1e-4
"""Cosines are kept this far from 1 and -1, where the angle's slope is infinite: 0.8 degrees."""

MARGIN: Final = 0.5
ADAPTIVE_MARGIN: Final = 0.4
CONCENTRATION: Final = 0.333
SCALE: Final = 64.0
"""Margins (radians) and scale as ArcFace and AdaFace were published with."""


def pair_cross_entropy(logits: Any, same: Any) -> Any:
    """Mean binary cross-entropy of the sigmoid of `logits`, shape ().

    Args:
        logits: Shape (n,).
        same: 1 where a pair shows one person, else 0, shape (n,).
    """
    from keras import ops

    logits = _float32(logits)
    return ops.mean(ops.softplus(logits) - ops.cast(same, "float32") * logits)


def supervised_contrast(embeddings: Any, people: Any, scale: float) -> Any:
    """`adaptation.objective.contrast` of a batch against itself, shape ().

    Args:
        embeddings: Unit length, shape (n, d).
        people: Number of each one's person, shape (n,).
        scale: Inverse temperature.
    """
    from keras import ops

    embeddings, people = _float32(embeddings), ops.convert_to_tensor(people)
    same = ops.equal(people[:, None], people[None])
    itself = ops.cast(ops.eye(embeddings.shape[0] or ops.shape(embeddings)[0]), "bool")
    return contrast(ops.matmul(embeddings, ops.transpose(embeddings)), same, itself, scale)


def arcface_logits(
    cosines: Any, people: Any, *, margin: float = MARGIN, scale: float = SCALE
) -> Any:
    """Logits with an additive angular margin, shape (n, classes).

    The angle to the own class is made larger by `margin` before the softmax: to be told from the
    others, a face has to be nearer to its class by that much (Deng et al., "ArcFace: Additive
    angular margin loss for deep face recognition", 2019). Angles end at 180 degrees.

    Args:
        cosines: Of each embedding with each class, shape (n, classes).
        people: Own class of each embedding, shape (n,).
        margin: Radians.
        scale: Of the logits.
    """
    return _with_margins(cosines, people, angle=margin, distance=0.0, scale=scale)


def adaface_logits(
    cosines: Any,
    people: Any,
    quality: Any,
    *,
    margin: float = ADAPTIVE_MARGIN,
    scale: float = SCALE,
) -> Any:
    """Logits whose margin asks more of good photos than of poor ones, shape (n, classes).

    Quality is read off the length of an embedding. At quality 1 the margin is taken off the cosine
    twice and off the angle once, at -1 it is added to the angle only, which looks away from photos
    that can't be told (Kim et al., "AdaFace: Quality adaptive margin for face recognition", 2022:
    `cos(angle - margin * quality) - margin * (1 + quality)`).

    Args:
        cosines: Of each embedding with each class, shape (n, classes).
        people: Own class of each embedding, shape (n,).
        quality: From `relative_quality`, shape (n,).
        margin: Radians, and cosine.
        scale: Of the logits.
    """
    from keras import ops

    quality = ops.stop_gradient(_float32(quality))[:, None]
    return _with_margins(
        cosines,
        people,
        angle=-margin * quality,
        distance=margin * (1 + quality),
        scale=scale,
    )


def relative_quality(
    lengths: Any, mean: Any, deviation: Any, concentration: float = CONCENTRATION
) -> Any:
    """Lengths of embeddings against those of others, in -1..1, shape (n,).

    Args:
        lengths: Of embeddings before they are scaled to one, shape (n,).
        mean: Of many lengths, shape ().
        deviation: Of many lengths, shape ().
        concentration: Quality at one deviation above the mean; at 1/3 nearly all lengths that are
            normally distributed keep inside -1..1.
    """
    from keras import ops

    standard = (_float32(lengths) - mean) / ops.maximum(deviation, 1e-3)
    return ops.clip(standard * concentration, -1.0, 1.0)


def class_cross_entropy(logits: Any, people: Any) -> Any:
    """Mean cross-entropy of a softmax, shape ().

    Args:
        logits: Shape (n, classes).
        people: Own class of each, shape (n,).
    """
    from keras import ops

    own = ops.take_along_axis(logits, ops.cast(people, "int32")[:, None], axis=-1)[:, 0]
    return ops.mean(ops.logsumexp(logits, axis=-1) - own)


def _with_margins(cosines: Any, people: Any, *, angle: Any, distance: Any, scale: float) -> Any:
    """Scaled cosines; those of the own class by an angle that is wider, less a distance."""
    from keras import ops

    cosines = ops.clip(_float32(cosines), -1 + EPSILON, 1 - EPSILON)
    wider = ops.clip(ops.arccos(cosines) + angle, 0.0, math.pi)
    own = ops.one_hot(ops.cast(people, "int32"), cosines.shape[-1])
    return scale * ops.where(own > 0, ops.cos(wider) - distance, cosines)


def _float32(values: Any) -> Any:
    from keras import ops

    return ops.cast(values, "float32")
