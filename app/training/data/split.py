"""Train, validation and test: made once, by groups of photos and by people, from a seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from app.training.data.dataset import Dataset
from app.training.datasets import Side


@dataclass(frozen=True, slots=True)
class Split:
    """The side of each row of a dataset."""

    sides: tuple[Side, ...]
    seed: int

    def rows(self, side: Side) -> NDArray[np.intp]:
        """Rows of one side, ascending."""
        return np.flatnonzero([own is side for own in self.sides])

    def document(self, dataset: Dataset) -> dict[str, Any]:
        """As JSON: seed, and sha256, role, group and side of each photo; no names."""
        raise NotImplementedError

    @classmethod
    def from_document(cls, document: Mapping[str, Any], dataset: Dataset) -> Self:
        """The split that `document` tells, for the rows of `dataset`.

        Raises:
            TrainingDataError: If the photos are not those of the document.
        """
        raise NotImplementedError


def make_split(dataset: Dataset, seed: int) -> Split:
    """About 60 % train, 15 % validation and 25 % test; the same for the same contents and seed.

    The owner's photos are divided by group, everyone else by person.
    """
    raise NotImplementedError
