"""Train, validation and test: made once, by groups of photos and by people, from a seed.

Whatever belongs together stays on one side: copies and frames of a burst, and all photos of a
negative person. Who is tested with was never trained on.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from app.domain.errors import TrainingDataError
from app.domain.training import Role
from app.training.data.dataset import Dataset
from app.training.data.photos import OWNER
from app.training.datasets import Side

SHARES: Final[Mapping[Side, float]] = {Side.TRAIN: 0.60, Side.TEST: 0.25, Side.VALIDATION: 0.15}
"""Of the owner's photos, and of the negative people; who lacks most is served first."""

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Split:
    """The side of each row of a dataset."""

    sides: tuple[Side, ...]
    seed: int

    def rows(self, side: Side) -> NDArray[np.intp]:
        """Rows of one side, ascending."""
        return np.flatnonzero([own is side for own in self.sides])

    def document(self, dataset: Dataset) -> dict[str, Any]:
        """As JSON: seed, and sha256, role, person, group and side of each photo; no names."""
        return {
            "format": _FORMAT,
            "seed": self.seed,
            "shares": {side.value: share for side, share in SHARES.items()},
            "photos": [
                {
                    "sha256": dataset.sha256[row],
                    "role": dataset.photos[row].role.value,
                    "person": int(dataset.people[row]),
                    "group": int(dataset.groups[row]),
                    "side": side.value,
                }
                for row, side in enumerate(self.sides)
            ],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any], dataset: Dataset) -> Self:
        """The split that `document` tells, for the rows of `dataset`.

        Raises:
            TrainingDataError: If the photos are not those of the document.
        """
        sides = {entry["sha256"]: Side(entry["side"]) for entry in document["photos"]}
        if sides.keys() != set(dataset.sha256):
            message = (
                "The photos are not those that the job began with: "
                f"{len(set(dataset.sha256) - sides.keys())} came and "
                f"{len(sides.keys() - set(dataset.sha256))} went. Start a new job."
            )
            raise TrainingDataError(
                message, problems=[{"code": "photos_changed", "message": message}]
            )
        return cls(tuple(sides[photo] for photo in dataset.sha256), int(document["seed"]))


def make_split(dataset: Dataset, seed: int) -> Split:
    """About 60 % train, 15 % validation and 25 % test; the same for the same contents and seed.

    The owner's photos are divided by group, everyone else by person. Groups with photos in
    `anchor` alone, in `positive` alone and in both are divided apart, so that every side has its
    share of both roles; large bursts go where most photos are wanted, and so rather to train.
    """
    sides: dict[int, Side] = {}
    for units in (*_owner_units(dataset), _people(dataset)):
        keys = [_key(dataset, rows, seed) for rows in units]
        weights = [len(rows) if dataset.people[rows[0]] == OWNER else 1 for rows in units]
        for rows, side in zip(units, _divide(weights, keys), strict=True):
            sides |= dict.fromkeys(rows, side)
    return Split(tuple(sides[row] for row in range(len(dataset))), seed)


def _owner_units(dataset: Dataset) -> list[list[list[int]]]:
    """Rows by group, and groups by the roles that they have photos in."""
    groups = defaultdict(list)
    for row in dataset.owner.tolist():
        groups[int(dataset.groups[row])].append(row)
    by_roles: dict[frozenset[Role], list[list[int]]] = defaultdict(list)
    for rows in groups.values():
        by_roles[frozenset(dataset.photos[row].role for row in rows)].append(rows)
    return list(by_roles.values())


def _people(dataset: Dataset) -> list[list[int]]:
    """Rows by negative person."""
    people = defaultdict(list)
    for row in dataset.others.tolist():
        people[int(dataset.people[row])].append(row)
    return list(people.values())


def _key(dataset: Dataset, rows: Sequence[int], seed: int) -> bytes:
    """A number that looks drawn at random, but depends on seed and content alone."""
    content = min(dataset.sha256[row] for row in rows)
    return sha256(f"{seed}:{content}".encode()).digest()


def _divide(weights: Sequence[int], keys: Sequence[bytes]) -> list[Side]:
    """Give each unit to the side that lacks most, the heavy ones first, equals in random order."""
    lacking = {side: share * sum(weights) for side, share in SHARES.items()}
    sides = [Side.TRAIN] * len(weights)
    for unit in sorted(range(len(weights)), key=lambda unit: (-weights[unit], keys[unit])):
        side = max(lacking, key=lacking.__getitem__)
        lacking[side] -= weights[unit]
        sides[unit] = side
    return sides
