"""Validation of the preset `seed`: the owner's pairs on the validation side."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats
from app.domain.scoring import L1Head
from app.domain.training import Monitor
from app.training.data.dataset import Dataset
from app.training.networks import SEED_SCALE
from app.training.presets.batches import Faces
from app.training.presets.loop import Validation
from app.training.presets.pairs import Indices, Photos

_OWNERS: Final = 60
_STRANGERS: Final = 240
"""Photos at most of each folder of the owner, and of other people: each is embedded once, all are
compared with all, which takes no longer than a dozen steps of training."""

_CHUNK: Final = 16


class OwnerPairs:
    """Pairs of anchors with positives and with negatives, without augmentation.

    Args:
        dataset: The photos.
        rows: Of the validation side.
        faces: Gives the crop of a row.
    """

    def __init__(self, dataset: Dataset, rows: Indices, faces: Faces) -> None:
        photos = Photos.among(dataset, rows)
        self._anchors = _spread(photos.anchors, _OWNERS)
        self._positives = _spread(photos.positives, _OWNERS)
        self._negatives = _spread(photos.negatives, _STRANGERS)
        groups = dataset.groups
        self._apart = groups[self._anchors][:, None] != groups[self._positives][None]
        self._faces = faces

    def validate(self, network: Any, head: L1Head, monitor: Monitor) -> Validation | None:
        """Mean cross-entropy and accuracy at 0.5, both kinds of pairs weighing the same.

        Args:
            network: From crops in 0..1 to embeddings.
            head: Compares them.
            monitor: Told about every few photos.

        Returns:
            None if there is no pair of one kind.
        """
        if not self._apart.any() or not len(self._negatives):
            return None
        rows = np.unique(np.concatenate([self._anchors, self._positives, self._negatives]))
        embeddings = self._embedded(network, rows, monitor)
        anchors, positives, negatives = (
            embeddings[np.searchsorted(rows, own)]
            for own in (self._anchors, self._positives, self._negatives)
        )
        same = np.stack([head.logits(anchor, positives) for anchor in anchors])[self._apart]
        other = np.stack([head.logits(anchor, negatives) for anchor in anchors]).ravel()
        loss = (_cross_entropy(same) + _cross_entropy(-other)) / 2
        accuracy = float(((same > 0).mean() + (other <= 0).mean()) / 2)
        return Validation(loss, accuracy, rank=-loss)

    def _embedded(self, network: Any, rows: Indices, monitor: Monitor) -> Floats:
        parts: list[NDArray[np.float32]] = []
        for start in range(0, len(rows), _CHUNK):
            monitor.progress(start, len(rows), what="validation")
            crops = np.stack([self._faces(int(row)) for row in rows[start : start + _CHUNK]])
            parts.append(
                np.asarray(network(crops * np.float32(SEED_SCALE), training=False), np.float32)
            )
        return np.concatenate(parts)


def _cross_entropy(logits: Floats) -> float:
    """Mean of -log of the sigmoid, which is log(1 + exp(-logit))."""
    return float(np.logaddexp(0, -logits.astype(np.float64)).mean())


def _spread(rows: Indices, most: int) -> Indices:
    """At most `most` of the rows, evenly."""
    if len(rows) <= most:
        return rows
    spread: Indices = rows[np.linspace(0, len(rows) - 1, most).round().astype(np.intp)]
    return spread
