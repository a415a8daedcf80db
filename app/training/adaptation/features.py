"""What the frozen layers give for every view, kept on disk so that training never repeats it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats, Pixels
from app.training.adaptation.faces import WideFaces
from app.training.adaptation.runner import Runner
from app.training.adaptation.views import Jitter, View, cut, degrade

Progress = Callable[[int, int], None]
Halves = NDArray[np.float16]


class Drawing(Protocol):
    """What views are drawn; see `AdaptationConfig`."""

    @property
    def views(self) -> int:
        """Views of each photo."""

    @property
    def degraded(self) -> int:
        """The first so many of them are worse photos of the face."""

    @property
    def jitter(self) -> Jitter:
        """What the views are drawn from."""

    @property
    def seed(self) -> int:
        """Of the drawing."""


def teacher_embeddings(
    teacher: Runner, faces: WideFaces, views: Sequence[View], progress: Progress
) -> Floats:
    """The mean embedding over views, at unit length, shape (n, d)."""
    total = np.zeros((len(faces.pixels), *teacher.shape), np.float32)
    for number, view in enumerate(views):
        progress(number, len(views))
        total += _seen(teacher, faces, view)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.asarray(total / np.maximum(length, 1e-12), np.float32)


def _seen(teacher: Runner, faces: WideFaces, view: View) -> Floats:
    return teacher.run(len(faces.pixels), lambda row: cut(faces.pixels[row], view))


@contextmanager
def frozen_features(
    frozen: Runner, faces: WideFaces, drawing: Drawing, progress: Progress
) -> Iterator[list[Halves]]:
    """Features of every drawn view, one memory-mapped array (n, ...) a view, until the end.

    They take 16 KB a face and view: 2 GB for the default. Half precision is enough: it loses less
    than the int8 weights in front of it.
    """
    with TemporaryDirectory(prefix="facetwin-features-") as folder:
        shape = (len(faces.pixels), *frozen.shape)
        features: list[Halves] = []
        for number in range(drawing.views):
            progress(number, drawing.views)
            features.append(
                np.lib.format.open_memmap(
                    Path(folder) / f"{number}.npy", mode="w+", dtype=np.float16, shape=shape
                )
            )
            fill_view(features[-1], frozen, faces.pixels, drawing, number=number)
        yield features


def fill_view(
    features: Halves,
    frozen: Runner,
    pixels: Pixels,
    drawing: Drawing,
    *,
    number: int,
    progress: Callable[[int], None] = lambda _done: None,
) -> None:
    """What the frozen layers give for one drawn view of every face.

    Args:
        features: Filled, shape (n, ...).
        frozen: The layers.
        pixels: Wide aligned faces, shape (n, side, side, 3).
        drawing: What views are drawn.
        number: Of the view.
        progress: Told the number of faces done, again and again.
    """
    drawn = frozen.chunks(len(pixels), lambda row: drawn_view(pixels[row], drawing, number, row))
    for rows, output in drawn:
        features[rows] = output
        progress(rows.stop)


def drawn_view(wide: Pixels, drawing: Drawing, number: int, row: int) -> Pixels:
    """View `number` of the photo at `row`: the same for the same seed."""
    random = np.random.default_rng([drawing.seed, number, row])
    face = cut(wide, drawing.jitter.draw(random))
    return degrade(face, random) if number < drawing.degraded else face
