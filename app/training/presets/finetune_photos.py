"""Which photos the preset `finetune` looks at, and what the frozen layers give for them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats
from app.domain.errors import TrainingDataError
from app.domain.training import Monitor
from app.inference.align import AlignmentTemplate
from app.training.adaptation.faces import MARGIN
from app.training.adaptation.features import Drawing, Halves, fill_view
from app.training.adaptation.runner import Runner
from app.training.data.dataset import Dataset
from app.training.data.photos import OWNER
from app.training.data.split import Split
from app.training.datasets import Side
from app.training.presets.finetune_config import FinetuneConfig

Indices = NDArray[np.intp]

VALIDATION_SHARE = 0.25
"""Photos that validation looks at, for each that training may draw."""


@dataclass(frozen=True, slots=True)
class SeenPhotos:
    """Photos of one side; the owner's come first.

    Attributes:
        people: Shape (n,), the owner is 0.
        features: What the frozen layers give for each view, shape (views, n, ...).
        embeddings: The base's, unit length, shape (n, d).
    """

    people: Indices
    features: Halves
    embeddings: Floats

    @property
    def owners(self) -> int:
        """Photos of the owner."""
        return int(np.count_nonzero(self.people == OWNER))


def chosen_rows(
    embeddings: Floats, people: Indices, rows: Indices, config: FinetuneConfig, seed: int
) -> Indices:
    """Rows of one side to look at: the owner's, then strangers, within the bounds of `config`.

    Args:
        embeddings: Unit length, of all photos.
        people: Of all photos.
        rows: Of the side.
        config: How many.
        seed: Of the drawing.
    """
    random = np.random.default_rng(seed)
    own, others = rows[people[rows] == OWNER], rows[people[rows] != OWNER]
    own = np.sort(random.permutation(own)[: config.owner_photos])
    if len(others) > config.strangers:
        middle = embeddings[own].mean(axis=0)
        nearest = others[np.argsort(-(embeddings[others] @ middle), kind="stable")]
        hard = round(config.strangers * config.hard_share)
        drawn = random.permutation(nearest[hard:])[: config.strangers - hard]
        others = np.sort(np.concatenate([nearest[:hard], drawn]))
    return np.concatenate([own, others])


def both_sides(
    dataset: Dataset, split: Split, config: FinetuneConfig, seed: int
) -> tuple[Indices, Indices]:
    """Rows to train on, and rows to validate with (none if the owner has fewer than two there).

    Args:
        dataset: All photos; their embeddings are of unit length, without a commonness.
        split: Their sides.
        config: How many.
        seed: Of the drawing.

    Raises:
        TrainingDataError: If the owner has fewer than two photos to train on, or no stranger is.
    """
    train = chosen_rows(dataset.embeddings, dataset.people, split.rows(Side.TRAIN), config, seed)
    owners = int(np.count_nonzero(dataset.people[train] == OWNER))
    if owners < 2 or owners == len(train):
        message = "Finetuning takes two photos of the owner and one of someone else to train on."
        raise TrainingDataError.of([{"code": "too_few_photos", "message": message}])
    fewer = replace(
        config,
        owner_photos=round(config.owner_photos * VALIDATION_SHARE),
        strangers=round(config.strangers * VALIDATION_SHARE),
    )
    valid = chosen_rows(
        dataset.embeddings, dataset.people, split.rows(Side.VALIDATION), fewer, seed
    )
    enough = np.count_nonzero(dataset.people[valid] == OWNER) >= 2
    return train, valid if enough else valid[:0]


def look_at(
    dataset: Dataset,
    rows: Indices,
    trunk: Runner,
    drawing: Drawing,
    template: AlignmentTemplate,
    *,
    monitor: Monitor,
    what: str,
) -> SeenPhotos:
    """Draw the views of photos and run the frozen layers on them.

    They are kept in memory: 200 KB a photo for the default, within what `FinetuneConfig` bounds.
    """
    side = template.size + 2 * MARGIN
    pixels = np.empty((len(rows), side, side, 3), np.uint8)
    for place, row in enumerate(rows.tolist()):
        pixels[place] = dataset.faces(row, template, MARGIN)
        monitor.progress(place, len(rows), what=f"{what}: faces")
    total = drawing.views * len(rows)
    features = np.empty((drawing.views, len(rows), *trunk.shape), np.float16)
    for number in range(drawing.views):
        before = number * len(rows)
        fill_view(
            features[number],
            trunk,
            pixels,
            drawing,
            number=number,
            progress=lambda done, before=before: monitor.progress(  # type: ignore[misc]
                before + done, total, what=f"{what}: views"
            ),
        )
    return SeenPhotos(dataset.people[rows], features, dataset.embeddings[rows])
