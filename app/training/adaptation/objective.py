"""What the adaptation minimises, in keras.ops: stay with the teacher, and part strangers."""

from typing import Any


def distillation(embeddings: Any, targets: Any) -> Any:
    """Mean squared distance of unit-length embeddings (n, d) to the teacher's, shape ().

    The squared distance of two unit vectors is `2 - 2 cos`.
    """
    from keras import ops

    return ops.mean(ops.sum(ops.square(embeddings - targets), axis=-1))


def contrast(scores: Any, same: Any, itself: Any, scale: float) -> Any:
    """Supervised contrastive loss against a bank of embeddings, shape ().

    Each other photo of the same person should score higher than all strangers of the bank
    together: the loss of a pair is `log(1 + sum(exp(scale * stranger)) / exp(scale * score))`.
    Khosla et al., "Supervised contrastive learning", 2020, with one positive in each softmax; the
    bank as in Wang et al., "Cross-batch memory for embedding learning", 2020.

    Args:
        scores: Cosine of each embedding with each entry of the bank, shape (n, m).
        same: Whether the entry shows the same person, shape (n, m).
        itself: Whether the entry is of the same photo, shape (n, m); it is no positive.
        scale: Inverse temperature.
    """
    from keras import ops

    logits = ops.multiply(scores, scale)
    strangers = ops.logsumexp(ops.where(same, -1e9, logits), axis=-1, keepdims=True)
    positive = ops.cast(ops.logical_and(same, ops.logical_not(itself)), logits.dtype)
    losses = ops.softplus(strangers - logits) * positive
    each = ops.sum(losses, axis=-1) / ops.maximum(ops.sum(positive, axis=-1), 1)
    return ops.mean(each)
