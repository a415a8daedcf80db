"""The photos that a new bundle is calibrated on and judged by; the network never saw them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.errors import ImageTooLargeError, InvalidImageError, UnsupportedMediaTypeError
from app.domain.training import Role
from app.training.data.dataset import Dataset
from app.training.data.examine import Examined
from app.training.data.photos import OWNER
from app.training.data.split import Split
from app.training.datasets import LabelledImage, Side

Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]

TEST_SHARE: Final = 25
VALIDATION_SHARE: Final = 15
"""Percent of the owner's unusable photos that each side gets, as of the usable ones."""

MOST_LEARNED: Final = 100
"""Photos of the owner from the training side, at most: they are references only."""

_NO_PHOTO: Final = frozenset(
    error.code for error in (InvalidImageError, ImageTooLargeError, UnsupportedMediaTypeError)
)


@dataclass(frozen=True, slots=True)
class Sample:
    """Photos of the sides validation and test, and some of the owner's from the training side.

    Attributes:
        images: The n photos, as `embed_all` takes them.
        rows: Row of each in the dataset, -1 where it is not in there; shape (n,).
        people: Number of the person on each photo, from 0 without gaps, shape (n,).
        groups: Photos that are too alike to be judged apart share a number; shape (n,).
        tested: Whether each photo is on the test side, shape (n,). Photos of the owner that are not
            are references at most, never probes.
        owner: The person that the bundle is trained for; None if it is for everybody.
    """

    images: tuple[LabelledImage, ...]
    rows: Indices
    people: Indices
    groups: Indices
    tested: Flags
    owner: int | None

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        split: Split,
        failed: Iterable[Examined] = (),
        *,
        everybody: bool = False,
    ) -> "Sample":
        """What `split` kept from training, and references for galleries larger than that allows.

        Args:
            dataset: Distinct, usable photos.
            split: The side of each.
            failed: All photos that were examined. Those that show no face or an inconclusive one
                are tried too, so that the rates count them. The owner's have their side by their
                content, in the shares of the split; other people's that of the person, and count
                only if the bundle is for everybody.
            everybody: Whether the bundle is for everybody: then the owner, of whom some photos were
                trained on, is left out.
        """
        sides = np.array([side.value for side in split.sides])
        learned = np.flatnonzero((sides == Side.TRAIN.value) & (dataset.people == OWNER))
        rows = np.flatnonzero(sides != Side.TRAIN.value)
        rows = np.concatenate([rows, learned[:MOST_LEARNED]])
        if everybody:
            rows = rows[dataset.people[rows] != OWNER]
        tests = sides[rows] == Side.TEST.value
        if everybody:
            whose = {
                dataset.photos[row].person: (int(dataset.people[row]), bool(tested))
                for row, tested in zip(rows, tests, strict=True)
            }
            lost = list(_failures_of_people(failed, whose))
        else:
            lost = list(_failures(failed))
        groups = np.concatenate(
            [dataset.groups[rows], int(dataset.groups.max(initial=-1)) + 1 + np.arange(len(lost))]
        )
        people = np.concatenate([dataset.people[rows], [number for _, number, _ in lost]])
        numbers, people = np.unique(people, return_inverse=True)
        return cls(
            images=tuple(
                LabelledImage(path, str(person))
                for path, person in zip(
                    [*(dataset.photos[row].path for row in rows), *(path for path, *_ in lost)],
                    people,
                    strict=True,
                )
            ),
            rows=np.concatenate([rows, np.full(len(lost), -1)]).astype(np.intp),
            people=people.astype(np.intp),
            groups=groups.astype(np.intp),
            tested=np.concatenate([tests, np.array([tested for *_, tested in lost], np.bool_)]),
            owner=0 if OWNER in numbers else None,
        )

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, rows: Indices) -> "Sample":
        """These photos only; people keep their numbers."""
        return Sample(
            tuple(self.images[row] for row in rows),
            self.rows[rows],
            self.people[rows],
            self.groups[rows],
            self.tested[rows],
            self.owner,
        )

    @property
    def strangers(self) -> Flags:
        """Which photos do not show the owner, shape (n,)."""
        if self.owner is None:
            return np.ones(len(self), np.bool_)
        return np.asarray(self.people != self.owner)


def _failures(examined: Iterable[Examined]) -> Iterator[tuple[Path, int, bool]]:
    """Each photo of the owner that is held out but unusable: path, person, whether it tests."""
    for one in _unusable(examined):
        percent = int(one.sha256[:8], 16) % 100
        if one.photo.role is not Role.NEGATIVE and percent < TEST_SHARE + VALIDATION_SHARE:
            yield one.photo.path, OWNER, percent < TEST_SHARE


def _failures_of_people(
    examined: Iterable[Examined], whose: Mapping[str, tuple[int, bool]]
) -> Iterator[tuple[Path, int, bool]]:
    """The same of people that are held out, by name. One without a usable photo is nobody."""
    for one in _unusable(examined):
        if one.photo.role is Role.NEGATIVE and one.photo.person in whose:
            yield one.photo.path, *whose[one.photo.person]


def _unusable(examined: Iterable[Examined]) -> Iterator[Examined]:
    """Distinct photos that a face can't be taken from; what is no photo is left out."""
    seen = set()
    for one in examined:
        if not one.usable and one.sha256 and one.sha256 not in seen:
            seen.add(one.sha256)
            if not _NO_PHOTO & set(one.reasons):
                yield one
