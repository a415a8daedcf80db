"""Validation of the preset `compact`: how well it verifies people that it was not trained on."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from app.domain.entities import Floats, Pixels
from app.domain.training import Monitor
from app.training.data.dataset import Dataset
from app.training.metrics import tar_at_fmr
from app.training.presets.compact_photos import Indices, preprocessed
from app.training.presets.loop import Validation
from app.training.presets.losses import supervised_contrast

RATES: Final = (1e-3, 1e-2)
"""False match rates at which photos are verified; their mean tells epochs apart that one would not
on few people."""

_MOST: Final = 1000
_MOST_EACH: Final = 20
"""Photos that are compared, and of one person: all with all, which are half a million pairs."""

_CHUNK: Final = 32
_CONTRAST_SCALE: Final = 16.0


class VerifiedPeople:
    """All pairs of photos of the validation people.

    Args:
        dataset: The photos.
        rows: Of the validation side.
        crop: Gives the crop of a row as it is served.
    """

    def __init__(self, dataset: Dataset, rows: Indices, crop: Callable[[int], Pixels]) -> None:
        self._crop = crop
        self.rows = _of_whole_people(dataset.people, _one_of_each_group(dataset, rows), _MOST)
        """Photos that are compared: no two of one burst."""
        self.people = dataset.people[self.rows]
        """Whose they are."""
        upper = np.triu_indices(len(self.rows), 1)
        self._same = self.people[upper[0]] == self.people[upper[1]]
        self._upper = upper

    @property
    def has_both_kinds(self) -> bool:
        """Whether there are pairs of one person and pairs of two."""
        return bool(self._same.any() and not self._same.all())

    def embeddings(self, network: Any, monitor: Monitor) -> Floats:
        """Of the photos, unit length, shape (n, d)."""
        parts = []
        for start in range(0, len(self.rows), _CHUNK):
            monitor.progress(start, len(self.rows), what="validation")
            crops = [self._crop(int(row)) for row in self.rows[start : start + _CHUNK]]
            parts.append(np.asarray(network(preprocessed(crops), training=False), np.float32))
        found = np.concatenate(parts)
        length = np.linalg.norm(found, axis=1, keepdims=True)
        return np.asarray(found / np.maximum(length, 1e-12), np.float32)

    def validate(self, network: Any, monitor: Monitor) -> Validation | None:
        """True accept rate, mean over `RATES`, and the contrast of these people as the loss.

        Args:
            network: From preprocessed crops to embeddings.
            monitor: Told about every few photos.

        Returns:
            None without pairs of both kinds.
        """
        if not self.has_both_kinds:
            return None
        embeddings = self.embeddings(network, monitor)
        scores = (embeddings @ embeddings.T)[self._upper]
        genuine, impostor = scores[self._same], scores[~self._same]
        accuracy = float(np.mean([tar_at_fmr(genuine, impostor, rate) for rate in RATES]))
        loss = float(supervised_contrast(embeddings, self.people, _CONTRAST_SCALE))
        # The loss decides only between epochs that verify alike.
        return Validation(loss, accuracy, rank=accuracy - 1e-6 * loss)


def _one_of_each_group(dataset: Dataset, rows: Indices) -> Indices:
    first: Indices = rows[np.sort(np.unique(dataset.groups[rows], return_index=True)[1])]
    return first


def _of_whole_people(people: Indices, rows: Indices, most: int) -> Indices:
    """About `most` of the rows: people with all their photos, so that there are genuine pairs."""
    if len(rows) <= most:
        return rows
    numbers = np.unique(people[rows])
    kept: list[Indices] = []
    for number in np.random.default_rng(len(rows)).permutation(numbers):
        kept.append(rows[people[rows] == number][:_MOST_EACH])
        if sum(map(len, kept)) >= most:
            break
    chosen: Indices = np.sort(np.concatenate(kept))
    return chosen
