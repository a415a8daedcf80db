"""A small dataset in memory: a smooth pattern for each person, other noise on each photo of it."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np

from app.domain.entities import Pixels
from app.domain.training import JobStoppedError, Role, Stage
from app.inference.align import AlignmentTemplate
from app.training.data.dataset import Dataset
from app.training.data.photos import OWNER, TrainingPhoto
from app.training.data.split import Split
from app.training.datasets import Side

SIDES: Final = (Side.TRAIN, Side.TRAIN, Side.TRAIN, Side.VALIDATION, Side.TEST)


def _photos(owners: int, others: int, each: int) -> list[TrainingPhoto]:
    folder = Path("data")
    photos = [
        TrainingPhoto(folder / role / f"{number}.jpg", role, "")
        for role in (Role.ANCHOR, Role.POSITIVE)
        for number in range(owners)
    ]
    return photos + [
        TrainingPhoto(folder / Role.NEGATIVE / f"{p}" / f"{n}.jpg", Role.NEGATIVE, f"{p}")
        for p in range(1, others + 1)
        for n in range(each)
    ]


def dataset(
    owners: int = 5, others: int = 10, each: int = 3, noise: float = 20.0, light: float = 0.0
) -> Dataset:
    """`owners` anchors and as many positives, and `each` photos of each of the others.

    `light` falls differently on each photo, and says nothing of the person.
    """
    photos = _photos(owners, others, each)
    people = np.array([int(photo.person or OWNER) for photo in photos])
    vectors = np.random.default_rng(5).normal(size=(others + 1, 16))[people]
    vectors += np.random.default_rng(6).normal(size=vectors.shape) * 0.5

    def picture(row: int, side: int) -> Pixels:
        coarse = np.random.default_rng([1, people[row]]).integers(30, 226, (6, 6, 3))
        pattern = cv2.resize(coarse.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
        random = np.random.default_rng([2, row])
        noisy = pattern + random.normal(0, noise, pattern.shape)
        lit = random.normal(0, light, (2, 2, 1)).astype(np.float32)
        noisy += cv2.resize(lit, (side, side), interpolation=cv2.INTER_LINEAR)[..., None]
        pixels: Pixels = np.clip(noisy, 0, 255).astype(np.uint8)
        return pixels

    def faces(row: int, template: AlignmentTemplate, margin: int) -> Pixels:
        return picture(row, template.size + 2 * margin)

    return Dataset(
        photos=tuple(photos),
        sha256=tuple(f"{row:064d}" for row in range(len(photos))),
        people=people,
        groups=np.arange(len(photos)),
        embeddings=vectors.astype(np.float32),
        faces=faces,
        central=picture,
    )


def split(data: Dataset) -> Split:
    """Three fifths of the owner's photos train, as do three fifths of the others."""
    own = {Role.ANCHOR: 0, Role.POSITIVE: 0}
    sides = []
    for photo, person in zip(data.photos, data.people, strict=True):
        if person == OWNER:
            sides.append(SIDES[own[photo.role] % len(SIDES)])
            own[photo.role] += 1
        else:
            sides.append(SIDES[person % len(SIDES)])
    return Split(tuple(sides), 1)


class Listener:
    """A monitor that remembers, and that may stop the job.

    Args:
        stop_at: Steps of training after which it stops; None for never.
    """

    def __init__(self, stop_at: int | None = None) -> None:
        self.losses: list[float] = []
        self.told: list[str] = []
        self.epochs: list[int] = []
        self._stop_at = stop_at

    def stage(self, stage: Stage) -> None:
        """Nothing to remember."""

    def log(self, message: str) -> None:
        self.told.append(message)

    def progress(
        self,
        done: int,
        total: int,
        *,
        what: str | None = None,
        epoch: int | None = None,
        loss: float | None = None,
    ) -> None:
        assert 0 <= done <= total
        if loss is None:
            return
        assert epoch is not None
        self.losses.append(loss)
        self.epochs.append(epoch)
        if self._stop_at is not None and len(self.losses) >= self._stop_at:
            raise JobStoppedError
