"""Train, validation and test: made once, by groups of photos and by people, from a seed.

Whatever belongs together stays on one side: copies and frames of a burst, and all photos of a
negative person. Who is tested with was never trained on, by the active bundle neither: what it was
trained on stays for training in every job that starts from it.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from app.domain.errors import TrainingDataError
from app.domain.training import Role
from app.inference.bundle import Bundle
from app.training.data.dataset import Dataset
from app.training.data.photos import OWNER
from app.training.datasets import Side

SHARES: Final[Mapping[Side, float]] = {Side.TRAIN: 0.60, Side.TEST: 0.25, Side.VALIDATION: 0.15}
"""Of the owner's photos, and of the negative people; who lacks most is served first."""

_FORMAT: Final = 1

SPLIT: Final = "split.json"

_BINDING: Final = (Side.TRAIN, Side.VALIDATION, Side.TEST)
"""Whoever was trained on can't be tested with any more; the other way round nothing is lost."""


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
                entry | {"side": side.value}
                for entry, side in zip(_entries(dataset), self.sides, strict=True)
            ],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any], dataset: Dataset) -> Self:
        """The split that `document` tells, for the rows of `dataset`.

        Raises:
            TrainingDataError: If the photos are not those of the document.
        """
        known = {entry["sha256"]: entry for entry in document["photos"]}
        own = {entry["sha256"]: entry for entry in _entries(dataset)}
        if known.keys() != own.keys():
            raise _changed(
                f"{len(own.keys() - known.keys())} came and {len(known.keys() - own.keys())} went"
            )
        moved = sum(
            any(known[photo][key] != value for key, value in entry.items())
            for photo, entry in own.items()
        )
        if moved:
            raise _changed(
                f"{moved} are another person's, in another folder or of another burst now"
            )
        sides = tuple(Side(known[photo]["side"]) for photo in dataset.sha256)
        return cls(sides, int(document["seed"]))


def _changed(how: str) -> TrainingDataError:
    message = f"The photos are not those that the job began with: {how}. Start a new job."
    return TrainingDataError.of([{"code": "photos_changed", "message": message}])


def _entries(dataset: Dataset) -> list[dict[str, Any]]:
    """What is told of each photo, but for its side."""
    return [
        {
            "sha256": dataset.sha256[row],
            "role": dataset.photos[row].role.value,
            "person": int(dataset.people[row]),
            "group": int(dataset.groups[row]),
        }
        for row in range(len(dataset))
    ]


def known_sides(base: Bundle) -> dict[str, Side]:
    """The side of each photo that a bundle was made with, by sha256; of its own bases' too."""
    try:
        document = json.loads((base.directory / SPLIT).read_bytes())
    except FileNotFoundError:
        return {}
    return {entry["sha256"]: Side(entry["side"]) for entry in document["photos"]}


def with_earlier(document: dict[str, Any], dataset: Dataset, base: Bundle) -> dict[str, Any]:
    """The document of a new bundle: it also tells of photos that only its base was made with."""
    try:
        earlier = json.loads((base.directory / SPLIT).read_bytes())["photos"]
    except FileNotFoundError:
        return document
    own = set(dataset.sha256)
    kept = [entry for entry in earlier if entry["sha256"] not in own]
    return document | {"photos": [*document["photos"], *kept]}


def make_split(
    dataset: Dataset, seed: int, known: Mapping[str, Side] = MappingProxyType({})
) -> Split:
    """About 60 % train, 15 % validation and 25 % test; the same for the same contents and seed.

    The owner's photos are divided by group, everyone else by person. Groups with photos in
    `anchor` alone, in `positive` alone and in both are divided apart, so that every side has its
    share of both roles; large bursts of the owner go to train first.

    Args:
        dataset: The photos.
        seed: Of the division.
        known: Sides of photos, by sha256, that the bundle to start from was made with. They keep
            them; where a group or person has several, train comes before validation, and that
            before test.
    """
    sides: dict[int, Side] = {}
    for units in (*_owner_units(dataset), _people(dataset)):
        keys = [_key(dataset, rows, seed) for rows in units]
        sizes = [len(rows) if dataset.people[rows[0]] == OWNER else 1 for rows in units]
        pinned = [_pinned(dataset, rows, known) for rows in units]
        for rows, side in zip(units, _divide(sizes, keys, pinned), strict=True):
            sides |= dict.fromkeys(rows, side)
    return Split(tuple(sides[row] for row in range(len(dataset))), seed)


def _pinned(dataset: Dataset, rows: Sequence[int], known: Mapping[str, Side]) -> Side | None:
    """The side that a group or person has already."""
    sides = {known[dataset.sha256[row]] for row in rows if dataset.sha256[row] in known}
    return next((side for side in _BINDING if side in sides), None)


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


def _divide(
    sizes: Sequence[int], keys: Sequence[bytes], pinned: Sequence[Side | None]
) -> list[Side]:
    """Give each unit to the side that lacks most, large ones first, equals in random order."""
    lacking = {side: share * len(sizes) for side, share in SHARES.items()}
    sides = [side or Side.TRAIN for side in pinned]
    for side in pinned:
        if side is not None:
            lacking[side] -= 1
    free = [unit for unit, side in enumerate(pinned) if side is None]
    for unit in sorted(free, key=lambda unit: (-sizes[unit], keys[unit])):
        side = max(lacking, key=lacking.__getitem__)
        lacking[side] -= 1
        sides[unit] = side
    return sides
