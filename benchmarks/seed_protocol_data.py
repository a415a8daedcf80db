"""Who is who in the seed tutorial's protocol, and the folders of its training photos."""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from app.domain.errors import InvalidRequestError
from app.training.datasets import LabelledImage, read_folder
from app.training.lfw import lfw_root

_T = TypeVar("_T")

OWNER: Final = "George_W_Bush"
ANCHORS: Final = 215
POSITIVES: Final = 215
PROBES: Final = 100
MIN_IMPOSTORS: Final = 1000


@dataclass(frozen=True, slots=True)
class Protocol:
    """Photos by what they are used for; no person but the owner has two uses.

    Attributes:
        anchors: Of the owner, trained on.
        positives: Of the owner, trained on; references are drawn from these.
        probes: Of the owner, held out.
        negatives: Of other people, a folder each, trained on.
        impostors: Of people never trained on, one photo each.
    """

    anchors: tuple[LabelledImage, ...]
    positives: tuple[LabelledImage, ...]
    probes: tuple[LabelledImage, ...]
    negatives: tuple[LabelledImage, ...]
    impostors: tuple[LabelledImage, ...]

    @classmethod
    def read(cls, data: Path, *, negatives: int, impostors: int, seed: int) -> "Protocol":
        """Draw photos of LFW.

        Args:
            data: Folder of the research data.
            negatives: People to train against.
            impostors: People to be kept out.
            seed: Of the drawing.

        Raises:
            InvalidRequestError: If there are not enough photos or people.
        """
        images = read_folder(lfw_root(data) / "images")
        random = np.random.default_rng(seed)
        own = _shuffled([image for image in images if image.identity == OWNER], random)
        people = _shuffled(sorted({image.identity for image in images} - {OWNER}), random)
        wanted = ANCHORS + POSITIVES + PROBES
        if len(own) < wanted or len(people) < negatives + impostors:
            raise InvalidRequestError(
                f"{data} has too few photos of {OWNER} ({len(own)} of {wanted}) or of others "
                f"({len(people)} people of {negatives + impostors})."
            )
        strangers = frozenset(people[:negatives])
        unseen = frozenset(people[negatives : negatives + impostors])
        return cls(
            anchors=tuple(own[:ANCHORS]),
            positives=tuple(own[ANCHORS : ANCHORS + POSITIVES]),
            probes=tuple(own[ANCHORS + POSITIVES : wanted]),
            negatives=tuple(image for image in images if image.identity in strangers),
            impostors=tuple(_one_each(image for image in images if image.identity in unseen)),
        )

    def lay_out(self, folder: Path) -> None:
        """Copy the training photos into `anchor/`, `positive/` and `negative/<person>/`."""
        places = {"anchor": self.anchors, "positive": self.positives, "negative": self.negatives}
        for role, images in places.items():
            for image in images:
                below = folder / role / (image.identity if role == "negative" else "")
                below.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(image.path, below / image.path.name)


def _shuffled(values: Sequence[_T], random: np.random.Generator) -> list[_T]:
    return [values[i] for i in random.permutation(len(values))]


def _one_each(images: Iterable[LabelledImage]) -> list[LabelledImage]:
    return list({image.identity: image for image in images}.values())
