"""Identity-per-folder image sets, and the one rule that splits CelebA's identities by number."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from app.domain.errors import InvalidRequestError
from app.domain.images import IMAGE_SUFFIXES


class Side(StrEnum):
    """What an identity is used for; it has exactly one side."""

    TRAIN = "train"
    VALIDATION = "validation"
    """Chooses models and variants, and calibrates."""
    TEST = "test"
    """Only read."""


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """A photo and whose it is."""

    path: Path
    identity: str


def read_folder(root: Path) -> list[LabelledImage]:
    """All images of `root/<identity>/`, in alphabetical order.

    Raises:
        InvalidRequestError: If the folder is missing or holds no images.
    """
    images = [
        LabelledImage(path, path.parent.name)
        for path in sorted(root.glob("*/*"))
        if path.suffix.lower() in IMAGE_SUFFIXES
    ]
    if not images:
        raise InvalidRequestError(f"{root} holds no images in folders named by identity.")
    return images


@dataclass(frozen=True, slots=True)
class CelebA:
    """The two CelebA sets under one split.

    A photo that is in both sets, which its name tells, is taken from the wild one only: as a
    genuine pair with itself it would flatter every rate.

    Identity numbers agree between the sets. An identity of the wild set whose number modulo 10 is
    0 to 3 is for testing, and its images in the small set are not used at all; 4 and 5 validate
    and calibrate in both sets; all others train.
    """

    wild: tuple[LabelledImage, ...]
    small: tuple[LabelledImage, ...]

    @classmethod
    def read(cls, data: Path) -> "CelebA":
        """Read `data/celeba-wild` and `data/celeba-small`."""
        wild = tuple(read_folder(data / "celeba-wild"))
        known = {(image.identity, image.path.name) for image in wild}
        small = read_folder(data / "celeba-small")
        return cls(wild, tuple(i for i in small if (i.identity, i.path.name) not in known))

    def side(self, side: Side) -> list[LabelledImage]:
        """Images of one side, the wild set first."""
        tested = {i.identity for i in self.wild if _side(i.identity) is Side.TEST}
        wild = [i for i in self.wild if _side(i.identity) is side]
        if side is Side.TEST:
            return wild
        small = [i for i in self.small if i.identity not in tested]
        return wild + [i for i in small if self._small_side(i.identity) is side]

    @staticmethod
    def _small_side(identity: str) -> Side:
        side = _side(identity)
        return Side.TRAIN if side is Side.TEST else side


def without(images: Iterable[LabelledImage], identities: Iterable[str]) -> list[LabelledImage]:
    """The images of all other identities."""
    excluded = frozenset(identities)
    return [image for image in images if image.identity not in excluded]


def _side(identity: str) -> Side:
    digit = int(identity) % 10
    if digit <= 3:
        return Side.TEST
    return Side.VALIDATION if digit <= 5 else Side.TRAIN
