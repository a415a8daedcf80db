"""Batches of the preset `seed`: pairs of augmented crops."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Pixels
from app.training.networks import SEED_SCALE
from app.training.presets.batches import Arrays, Faces, tf_batches
from app.training.presets.copies import copied
from app.training.presets.pairs import PairDrawing


class PairBatches:
    """Pairs in batches.

    Args:
        drawing: Of pairs.
        faces: Gives the crop of a row.
        batch: Pairs.
        seed: Of the augmentation.
    """

    def __init__(self, drawing: PairDrawing, faces: Faces, batch: int, seed: int) -> None:
        self._drawing, self._faces = drawing, faces
        self._batch, self._seed = batch, seed
        self.steps = max(1, 2 * drawing.kind // batch)
        """Of an epoch; what fills no batch is left out."""

    def make(self, step: int) -> Arrays:
        """Batch `step`, counted over all epochs.

        Returns:
            First images and second images in 0..1, (n, size, size, 3), and 1 where both show one
            person, (n, 1).
        """
        start = step % self.steps * self._batch
        pairs = self._drawing.epoch(step // self.steps)[start : start + self._batch]
        first = self._scaled([self._image(pair.first) for pair in pairs])
        second = self._scaled([self._image(pair.second) for pair in pairs])
        return first, second, np.array([[pair.same] for pair in pairs], np.float32)

    def prepared(self, steps: range, threads: int) -> Iterator[tuple[Any, Any]]:
        """Batches as Keras trains on them."""
        for first, second, same in tf_batches(self.make, steps, threads=threads):
            yield [first, second], same

    def _image(self, photo: tuple[int, int]) -> Pixels:
        row, number = photo
        return copied(self._faces(row), number, (self._seed, row))

    @staticmethod
    def _scaled(images: list[Pixels]) -> NDArray[np.float32]:
        return np.stack(images) * np.float32(SEED_SCALE)
