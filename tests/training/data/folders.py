"""Training folders made of the two public-domain portraits, and monitors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Pixels
from app.domain.training import JobStoppedError, Stage
from tests.pictures import ASTRONAUT, HOPPER, encode, read

OTHERS = ("astronaut", "hopper")


class Ear:
    """A monitor that remembers; it stops the job once `stop_at` steps are done."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.steps: list[tuple[int, int]] = []
        self.lines: list[str] = []

    def stage(self, stage: Stage) -> None:
        pass

    def progress(self, done: int, total: int, **_more: Any) -> None:
        self.steps.append((done, total))
        if self.stop_at is not None and done >= self.stop_at:
            raise JobStoppedError

    def log(self, message: str) -> None:
        self.lines.append(message)


def portrait(person: str, seed: int | None = None) -> Pixels:
    """A portrait; with a seed, moved, turned, scaled and lit a little differently."""
    pixels = read(ASTRONAUT if person == "astronaut" else HOPPER)
    height, width = pixels.shape[:2]
    factor = 320 / max(height, width)
    size = (round(width * factor), round(height * factor))
    pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    return pixels if seed is None else moved(pixels, seed)


def moved(pixels: Pixels, seed: int) -> Pixels:
    """The picture as another shot of it might look."""
    random = np.random.default_rng(seed)
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D(
        (width / 2, height / 2), random.uniform(-8, 8), random.uniform(0.85, 1.05)
    )
    turn[:, 2] += random.uniform(-0.05, 0.05, 2) * width
    turned = cv2.warpAffine(pixels, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    lit: Pixels = np.clip(turned * random.uniform(0.8, 1.15), 0, 255).astype(np.uint8)
    return lit


def shaded(pixels: Pixels, seed: int) -> Pixels:
    """The picture bent and in patches of light: to a perceptual hash it is another photo."""
    random = np.random.default_rng(seed)
    height, width = pixels.shape[:2]

    def field(low: float, high: float, cells: int) -> NDArray[np.float32]:
        coarse = random.uniform(low, high, (cells, cells)).astype(np.float32)
        return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)

    light = field(0.2, 1.4, 12)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bent = cv2.remap(
        pixels,
        x + field(-10, 10, 7),
        y + field(-10, 10, 7),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    lit: Pixels = np.clip(bent * light[:, :, None], 0, 255).astype(np.uint8)
    return lit


def put(folder: Path, name: str, content: Pixels | bytes) -> Path:
    """Write a photo, or any bytes, into a folder that is made if need be."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else encode(content))
    return path


def names(photos: Sequence[Any]) -> list[str]:
    """File names of training photos."""
    return [photo.path.name for photo in photos]
