"""Photos of the preset `compact`: who trains, in which order, and how a crop is augmented."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats, Pixels
from app.domain.errors import TrainingDataError
from app.training.adaptation.views import Jitter, cut, degrade
from app.training.data.dataset import Dataset
from app.training.presets.batches import Arrays, Faces, tf_batches

Indices = NDArray[np.intp]

MEAN: Final = 127.5
SCALE: Final = 1 / 127.5


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How a crop is changed each time it is shown.

    Attributes:
        jitter: How it is cut out; half are mirrored.
        degraded: Share that is shown as a worse photo would show it.
    """

    jitter: Jitter
    degraded: float


class ClassBatches:
    """Photos of people with two or more, in batches; each photo once an epoch.

    Args:
        dataset: The photos.
        rows: Of the side that is trained on.
        faces: Gives the wide crop of a row, with a margin of `adaptation.faces.MARGIN`.
        augmentation: Of each crop.
        batch: Photos.
        seed: Of order and augmentation.

    Raises:
        TrainingDataError: If fewer than two people have two photos.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: Indices,
        faces: Faces,
        augmentation: Augmentation,
        *,
        batch: int,
        seed: int,
    ) -> None:
        self._rows, self._classes = classes_of(dataset.people, rows)
        self.classes = int(self._classes.max(initial=-1)) + 1
        """People."""
        if self.classes < 2:
            raise TrainingDataError(
                "Training from scratch takes at least two people with two photos or more each: "
                "give each person a folder in `negative`."
            )
        self._faces, self._augmentation = faces, augmentation
        self._batch, self._seed = min(batch, len(self._rows)), seed
        self.steps = len(self._rows) // self._batch
        """Of an epoch; what fills no batch waits for the next one's order."""
        self._order = lru_cache(maxsize=2)(self._drawn_order)

    @property
    def photos(self) -> int:
        """That are trained on."""
        return len(self._rows)

    def make(self, step: int) -> Arrays:
        """Batch `step`, counted over all epochs.

        Returns:
            Preprocessed crops (n, size, size, 3), and the number of each one's class (n,).
        """
        epoch = step // self.steps
        start = step % self.steps * self._batch
        places = self._order(epoch)[start : start + self._batch]
        crops = [self._augmented(epoch, int(self._rows[place])) for place in places]
        return preprocessed(crops), self._classes[places].astype(np.int32)

    def prepared(self, steps: range, threads: int) -> Iterator[tuple[Any, ...]]:
        """Batches as Keras trains on them."""
        return tf_batches(self.make, steps, threads=threads)

    def _drawn_order(self, epoch: int) -> Indices:
        return np.random.default_rng([self._seed, epoch]).permutation(len(self._rows))

    def _augmented(self, epoch: int, row: int) -> Pixels:
        random = np.random.default_rng([self._seed, epoch, row])
        face = cut(self._faces(row), self._augmentation.jitter.draw(random))
        return degrade(face, random) if random.random() < self._augmentation.degraded else face


def classes_of(people: Indices, rows: Indices) -> tuple[Indices, Indices]:
    """Rows of people who have two or more of them, and each one's class, from 0 without gaps."""
    own = people[rows]
    numbers, counts = np.unique(own, return_counts=True)
    kept = rows[np.isin(own, numbers[counts > 1])]
    return kept, np.unique(people[kept], return_inverse=True)[1].astype(np.intp)


def preprocessed(crops: list[Pixels]) -> Floats:
    """Crops as the network takes them, shape (n, size, size, 3), -1..1."""
    return (np.stack(crops) - np.float32(MEAN)) * np.float32(SCALE)
