"""From files to rows: each content once, whose it is, and what belongs together."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats
from app.domain.training import Role
from app.inference.bundle import Bundle
from app.training.data.examine import Examined
from app.training.data.nearness import Groups, copies, frames
from app.training.data.photos import OWNER

_ORDER = {role: number for number, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class Rows:
    """Distinct usable photos.

    Attributes:
        photos: One for each content, in the order of role, then sha256.
        people: Shape (n,): `OWNER`, or a number from 1 on, without gaps, by content.
        groups: Shape (n,), without gaps: copies and bursts; none spans two people.
        copied: Pairs of files that are one photo: of a role each, or of the owner and a negative.
            The second is that which is not among `photos`, or had better not be.
        joined: Names of people among the negatives who share a photo, and are taken for one.
        leaked: Negatives that are copies of the owner's photos; they are not among `photos`.
    """

    photos: tuple[Examined, ...]
    people: NDArray[np.intp]
    groups: NDArray[np.intp]
    copied: tuple[tuple[Examined, Examined], ...]
    joined: tuple[tuple[str, ...], ...]
    leaked: tuple[Examined, ...]

    @property
    def owner(self) -> NDArray[np.intp]:
        """Numbers of the owner's photos."""
        return np.flatnonzero(self.people == OWNER)

    @property
    def others(self) -> NDArray[np.intp]:
        """Numbers of all others."""
        return np.flatnonzero(self.people != OWNER)

    def embeddings(self, rows: NDArray[np.intp] | None = None) -> Floats:
        """Shape (n, d), or of some rows."""
        chosen = self.photos if rows is None else [self.photos[row] for row in rows]
        found = [photo.embedding for photo in chosen if photo.embedding is not None]
        return np.stack(found) if found else np.zeros((0, 0), np.float32)

    @property
    def group_of(self) -> dict[str, int]:
        """The group of each content, by sha256."""
        pairs = zip(self.photos, self.groups.tolist(), strict=True)
        return {photo.sha256: group for photo, group in pairs}


def in_order(examined: Sequence[Examined]) -> list[Examined]:
    """Sorted by role and content, and by name only where these are equal."""
    return sorted(examined, key=lambda e: (_ORDER[e.photo.role], e.sha256, e.photo.name))


def distinct_rows(examined: Sequence[Examined], bundle: Bundle) -> Rows:
    """Usable photos, each content once.

    Args:
        examined: All files, in any order.
        bundle: That examined them.
    """
    photos, twins = _distinct([e for e in in_order(examined) if e.usable])
    near = _near(photos, bundle)
    leaked = {
        (one if _is_owner(photos[other]) else other)
        for one, other in near
        if _is_owner(photos[one]) != _is_owner(photos[other])
    }
    leaks = [twin for first, twin in twins if _is_owner(first) and not _is_owner(twin)]
    copied = [*_across_roles(twins), *_across_roles((photos[a], photos[b]) for a, b in near)]
    kept = [number for number in range(len(photos)) if number not in leaked]
    place = {number: row for row, number in enumerate(kept)}
    pairs = [(place[a], place[b]) for a, b in near if a in place and b in place]
    rows = tuple(photos[number] for number in kept)
    persons, joined = _persons(rows, pairs, twins)
    return Rows(
        rows,
        persons,
        _groups(rows, pairs),
        tuple(copied),
        joined,
        tuple(leaks + [photos[number] for number in sorted(leaked)]),
    )


def _is_owner(photo: Examined) -> bool:
    return photo.photo.role is not Role.NEGATIVE


def _distinct(
    photos: Sequence[Examined],
) -> tuple[list[Examined], list[tuple[Examined, Examined]]]:
    """The first photo of each content, and each further one with its first."""
    first: dict[str, Examined] = {}
    twins = []
    for photo in photos:
        known = first.setdefault(photo.sha256, photo)
        if known is not photo:
            twins.append((known, photo))
    return list(first.values()), twins


def _near(photos: Sequence[Examined], bundle: Bundle) -> list[tuple[int, int]]:
    section = bundle.manifest.embedding
    faces = None
    if section.unit_length and photos:
        faces = np.stack(
            [section.face(photo.embedding) for photo in photos if photo.embedding is not None]
        )
    return list(copies(photos, faces))


def _across_roles(
    pairs: Sequence[tuple[Examined, Examined]] | Iterator[tuple[Examined, Examined]],
) -> Iterator[tuple[Examined, Examined]]:
    return ((one, other) for one, other in pairs if one.photo.role is not other.photo.role)


def _persons(
    photos: Sequence[Examined],
    near: Sequence[tuple[int, int]],
    twins: Sequence[tuple[Examined, Examined]],
) -> tuple[NDArray[np.intp], tuple[tuple[str, ...], ...]]:
    """Whose each photo is, and names that stand for one person as they share a photo."""
    names = sorted({photo.photo.person for photo in photos if not _is_owner(photo)})
    number = {name: place for place, name in enumerate(names)}
    same = Groups(len(names))
    for one, other in [*((photos[a], photos[b]) for a, b in near), *twins]:
        if one.photo.person in number and other.photo.person in number:
            same.join(number[one.photo.person], number[other.photo.person])
    labels = same.labels()
    met: dict[int, int] = {}
    people = np.array(
        [
            OWNER
            if _is_owner(photo)
            else met.setdefault(int(labels[number[photo.photo.person]]), len(met) + 1)
            for photo in photos
        ],
        np.intp,
    )
    together = defaultdict(list)
    for name in names:
        together[int(labels[number[name]])].append(name)
    return people, tuple(tuple(found) for found in together.values() if len(found) > 1)


def _groups(photos: Sequence[Examined], near: Sequence[tuple[int, int]]) -> NDArray[np.intp]:
    """Groups of copies and bursts, numbered in the order of the photos."""
    together = Groups(len(photos))
    for one, other in near:
        together.join(one, other)
    for rows in _by_name(photos):
        for one, other in frames([photos[row] for row in rows]):
            together.join(rows[one], rows[other])
    met: dict[int, int] = {}
    labels = [met.setdefault(label, len(met)) for label in together.labels().tolist()]
    return np.array(labels, np.intp)


def _by_name(photos: Sequence[Examined]) -> list[list[int]]:
    rows = defaultdict(list)
    for row, photo in enumerate(photos):
        rows[photo.photo.person].append(row)
    return list(rows.values())
