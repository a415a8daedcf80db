"""Which photos are copies of one another, or frames of one burst."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats
from app.domain.training import Role
from app.training.data.examine import Examined
from app.training.data.hashes import (
    FACE_ALIKE,
    FACE_NEAR,
    NEIGHBOURING_FACES,
    NEIGHBOURING_SCENES,
    SCENE_NEAR,
    as_words,
    distances,
)
from app.training.data.photos import TrainingPhoto

SAME_LOOK: Final = 0.98
"""Cosine over which two faces that are also `FACE_ALIKE` are one photo. A network that was trained
on one person may see all photos of them so; the hash then still decides."""

BURST_SECONDS: Final = 5.0
"""Longest pause between two frames of a burst."""

_DIGITS: Final = re.compile(r"\d+")


class Groups:
    """Numbers that have been joined; `labels` names the groups.

    Args:
        count: How many numbers there are, from 0; each is a group of its own at first.
    """

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def join(self, one: int, other: int) -> None:
        """Make one group of two."""
        first, second = sorted((self._root(one), self._root(other)))
        self._parents[second] = first

    def labels(self) -> NDArray[np.intp]:
        """Shape (n,): the least number of each number's group."""
        return np.array([self._root(i) for i in range(len(self._parents))], np.intp)

    def _root(self, number: int) -> int:
        while self._parents[number] != number:
            self._parents[number] = self._parents[self._parents[number]]
            number = self._parents[number]
        return number


def copies(photos: Sequence[Examined], faces: Floats | None) -> Iterator[tuple[int, int]]:
    """Pairs of photos (by number, the smaller first) that are copies of one another.

    Args:
        photos: With a face each.
        faces: Unit length, shape (n, d), if the bundle's embeddings mean something by their
            cosine; None leaves them out.
    """
    if not photos:
        return
    face_hashes, scene_hashes = _hashes(photos)
    for one in range(len(photos) - 1):
        by_face = distances(face_hashes[one], face_hashes[one + 1 :])
        by_scene = distances(scene_hashes[one], scene_hashes[one + 1 :])
        near = (by_face <= FACE_NEAR) | (by_scene <= SCENE_NEAR)
        for gap in np.flatnonzero(near | (by_face <= FACE_ALIKE)).tolist():
            other = one + 1 + gap
            if near[gap] or (faces is not None and faces[one] @ faces[other] >= SAME_LOOK):
                yield one, other


def frames(photos: Sequence[Examined]) -> Iterator[tuple[int, int]]:
    """Pairs of photos of one burst: taken one right after the other, and much alike.

    Neighbours are files of one folder whose times are at most `BURST_SECONDS` apart, or whose names
    differ by one in a number, with none between them. By time, `anchor` and `positive` are one
    folder as well: who takes photos for both in one sitting may put each frame into either. All
    photos must be of one person.
    """
    if not photos:
        return
    face_hashes, scene_hashes = _hashes(photos)
    near = {*_in_time(photos, _folder), *_in_time(photos, _sitting), *_in_name(photos)}
    for one, other in near:
        by_face = distances(face_hashes[one], face_hashes[other][None])[0]
        by_scene = distances(scene_hashes[one], scene_hashes[other][None])[0]
        if by_face <= NEIGHBOURING_FACES or by_scene <= NEIGHBOURING_SCENES:
            yield one, other


def _hashes(photos: Sequence[Examined]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    faces = [photo.phash for photo in photos if photo.phash is not None]
    scenes = [photo.scene_hash for photo in photos if photo.scene_hash is not None]
    assert len(faces) == len(scenes) == len(photos), "only photos with a face are held together"
    return as_words(faces), as_words(scenes)


def _folder(photo: TrainingPhoto) -> str:
    return os.fspath(photo.path.parent)


def _sitting(photo: TrainingPhoto) -> str:
    """The folder; of the owner's photos, below `anchor` or `positive`."""
    if photo.role is Role.NEGATIVE or not photo.given_name:
        return _folder(photo)
    return "/".join(photo.given_name.split("/")[1:-1])


def _in_time(
    photos: Sequence[Examined], folder: Callable[[TrainingPhoto], str]
) -> Iterator[tuple[int, int]]:
    def place(number: int) -> tuple[str, int, str]:
        photo = photos[number]
        return folder(photo.photo), photo.modified_ns, photo.photo.path.name

    for one, other in pairwise(sorted(range(len(photos)), key=place)):
        pause = photos[other].modified_ns - photos[one].modified_ns
        beside = folder(photos[one].photo) == folder(photos[other].photo)
        if beside and pause <= BURST_SECONDS * 1e9:
            yield one, other


def _in_name(photos: Sequence[Examined]) -> Iterator[tuple[int, int]]:
    numbered: dict[tuple[str, str, int], int] = {}
    for number, photo in enumerate(photos):
        for key in _numbers(photo):
            numbered[key] = number
    for (folder, rest, value), number in numbered.items():
        following = numbered.get((folder, rest, value + 1))
        if following is not None:
            yield number, following


def _numbers(photo: Examined) -> Iterator[tuple[str, str, int]]:
    """Folder, name without its last number, and that number."""
    path = photo.photo.path
    found = list(_DIGITS.finditer(path.stem))
    # A name may be a long number that stands for nothing, a hash for example.
    if found and len(found[-1][0]) <= 12:
        start, end = found[-1].span()
        yield os.fspath(path.parent), f"{path.stem[:start]}#{path.stem[end:]}", int(found[-1][0])
