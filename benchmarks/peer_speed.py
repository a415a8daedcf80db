"""Time per photo of both sides, one thread each, photo by photo in turns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from app.training.datasets import CelebA, LabelledImage
from app.training.datasets import Side as People
from app.training.lfw import lfw_root, read_images
from benchmarks.peer_engine import Engine, Result
from benchmarks.photos import PEOPLE, variant

Progress = Callable[[int, int], None]
Clock = Literal["wall_ms", "cpu_ms"]
Times = NDArray[np.float64]

PHOTOS: Final = 100
"""Photos of each set."""
STEPS: Final = ("decode", "detect", "embed", "total")

_CLOCKS: Final[tuple[Clock, ...]] = ("wall_ms", "cpu_ms")
_WARM_UP: Final = 5
_RESAMPLES: Final = 2000
_WIDTH, _HEIGHT = 640, 480
_SHAPES: Final = (1.2, 1.5)
"""Width over height of the photos that fill 640x480 with little cut off."""
_JPEG: Final = (cv2.IMWRITE_JPEG_QUALITY, 92)


@dataclass(frozen=True, slots=True)
class PhotoSet:
    """Files of one size, and how many times faster than the peer we mean to be on them."""

    name: str
    paths: tuple[Path, ...]
    target: float


class Speedup(BaseModel):
    """Their median time over ours, with its 95 % interval by bootstrap over photos."""

    value: float
    low: float
    high: float


class Step(BaseModel):
    """Medians in milliseconds by side, and the ratio, under each clock."""

    wall_ms: dict[str, float]
    wall_speedup: Speedup
    cpu_ms: dict[str, float]
    cpu_speedup: Speedup


class SpeedFigures(BaseModel):
    """Steps of the photos on which both sides found a face.

    Attributes:
        skipped: Photos without a face for one of the two.
        target: The least `total` speed-up that is aimed at.
    """

    photos: int
    skipped: int
    target: float
    steps: dict[str, Step]


def photo_sets(data: Path, folder: Path, limit: int | None) -> list[PhotoSet]:
    """The sets that are measured; made photos go to `folder`.

    250x250 are LFW's photos as they are. For 640x480 there are no photos in the research data, so
    landscape photos of CelebA's validation people are enlarged, and the public-domain portraits of
    the tests, whose resolution is real, are put into frames.
    """
    count = PHOTOS if limit is None else min(limit, PHOTOS)
    lfw = tuple(image.path for image in _spread(read_images(lfw_root(data)), count))
    enlarged = tuple(_enlarged(data, folder, count))
    framed = tuple(_framed(folder, count))
    return [
        PhotoSet("250x250 LFW", lfw, target=8),
        PhotoSet("640x480 CelebA, enlarged", enlarged, target=10),
        PhotoSet("640x480 portraits", framed, target=10),
    ]


def measure(
    engines: tuple[Engine, Engine], photos: PhotoSet, *, seed: int, progress: Progress
) -> SpeedFigures:
    """Run each photo through both sides, in turns first.

    Args:
        engines: Ours and theirs.
        photos: What to run.
        seed: Of the bootstrap.
        progress: Called with (done, total) after each photo.
    """
    for path in photos.paths[:_WARM_UP]:
        for engine in engines:
            engine.analyze(path)
    results = list(_in_turns(engines, photos.paths, progress))
    both = [pair for pair in results if all(result.embedding for result in pair)]
    if not both:
        raise ValueError(f"{photos.name}: there is no photo on which both sides find a face")
    names = (engines[0].name, engines[1].name)
    return SpeedFigures(
        photos=len(both),
        skipped=len(results) - len(both),
        target=photos.target,
        steps={step: _step(both, step, names, seed) for step in STEPS},
    )


def _in_turns(
    engines: tuple[Engine, Engine], paths: Sequence[Path], progress: Progress
) -> Iterator[tuple[Result, Result]]:
    ours, theirs = engines
    for number, path in enumerate(paths):
        # Whoever is second finds the file's pages and the processor's clock as the first left them.
        if number % 2:
            second = theirs.analyze(path)
            yield ours.analyze(path), second
        else:
            yield ours.analyze(path), theirs.analyze(path)
        progress(number + 1, len(paths))


def _step(
    results: Sequence[tuple[Result, Result]], step: str, names: tuple[str, str], seed: int
) -> Step:
    times = {
        clock: np.array([[getattr(side, clock)[step] for side in pair] for pair in results])
        for clock in _CLOCKS
    }
    medians = {
        clock: {
            name: round(float(value), 3)
            for name, value in zip(names, np.median(own, axis=0), strict=True)
        }
        for clock, own in times.items()
    }
    return Step(
        wall_ms=medians["wall_ms"],
        wall_speedup=speedup(times["wall_ms"], seed),
        cpu_ms=medians["cpu_ms"],
        cpu_speedup=speedup(times["cpu_ms"], seed),
    )


def speedup(times: Times, seed: int) -> Speedup:
    """Their median over ours; a resampled photo keeps both its times.

    Args:
        times: Ours and theirs of each photo, shape (n, 2).
        seed: Of the bootstrap.
    """
    generator = np.random.default_rng(seed)
    drawn = generator.integers(len(times), size=(_RESAMPLES, len(times)))
    ours, theirs = np.median(times[drawn], axis=1).T
    low, high = np.percentile(theirs / ours, [2.5, 97.5])
    median = np.median(times, axis=0)
    return Speedup(value=float(median[1] / median[0]), low=float(low), high=float(high))


def _spread(images: Sequence[LabelledImage], count: int) -> list[LabelledImage]:
    rows = np.unique(np.linspace(0, len(images) - 1, count).round().astype(int))
    return [images[row] for row in rows]


def _enlarged(data: Path, folder: Path, count: int) -> Iterator[Path]:
    """Landscape photos of CelebA's validation people, to 640x480 with little cut off."""
    celeba = CelebA.read(data)
    wild = set(celeba.wild)
    made = 0
    for image in (i for i in celeba.side(People.VALIDATION) if i in wild):
        pixels = cv2.imread(str(image.path))
        if pixels is None:
            continue
        height, width = pixels.shape[:2]
        if made < count and _SHAPES[0] <= width / height <= _SHAPES[1]:
            scale = max(_WIDTH / width, _HEIGHT / height)
            size = (max(_WIDTH, round(width * scale)), max(_HEIGHT, round(height * scale)))
            large = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
            left, top = (size[0] - _WIDTH) // 2, (size[1] - _HEIGHT) // 2
            path = folder / f"celeba-{made:04d}.jpg"
            cv2.imwrite(str(path), large[top : top + _HEIGHT, left : left + _WIDTH], _JPEG)
            made += 1
            yield path


def _framed(folder: Path, count: int) -> Iterator[Path]:
    """The public-domain portraits of the tests, each time in another size, place, brightness."""
    for number in range(count):
        path = folder / f"portrait-{number:04d}.jpg"
        path.write_bytes(variant(PEOPLE[number % len(PEOPLE)], number))
        yield path
