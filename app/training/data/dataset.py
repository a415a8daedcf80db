"""What is trained on and tested with: distinct usable photos, whose they are, and their faces."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats, Pixels
from app.inference.align import AlignmentTemplate
from app.training.data.photos import OWNER, TrainingPhoto

Faces = Callable[[int, AlignmentTemplate, int], Pixels]
Central = Callable[[int, int], Pixels]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows are photos, each content once, in the order of role, then sha256.

    Attributes:
        photos: The n photos.
        sha256: Of each photo's content.
        people: Shape (n,): `OWNER`, or the number of another person, from 1 without gaps.
        groups: Shape (n,): near-duplicates and frames of one burst share a number, from 0 without
            gaps; a group never spans two people.
        embeddings: Shape (n, d), of the active bundle, as `Pipeline.analyze` gives them.
        faces: `faces(row, template, margin)` is the RGB face of a photo aligned to `template` with
            `margin` more pixels on each side, shape (size + 2 * margin, size + 2 * margin, 3); its
            middle is what serving would embed with that template. From the cache, or made from the
            photo and cached. Safe to call from many threads. Raises TrainingDataError if the photo
            is gone or was changed, StorageError if the cache can't be written.
        central: `central(row, size)` is the photo's central square, resized, shape (size, size, 3);
            cached and raising likewise.
    """

    photos: tuple[TrainingPhoto, ...]
    sha256: tuple[str, ...]
    people: NDArray[np.intp]
    groups: NDArray[np.intp]
    embeddings: Floats = field(repr=False)
    faces: Faces = field(repr=False)
    central: Central = field(repr=False)

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def owner(self) -> NDArray[np.intp]:
        """Rows of the owner."""
        return np.flatnonzero(self.people == OWNER)

    @property
    def others(self) -> NDArray[np.intp]:
        """Rows of everyone else."""
        return np.flatnonzero(self.people != OWNER)
