"""What the frozen layers give for every view, kept on disk so that training never repeats it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats, Pixels
from app.training.adaptation.config import AdaptationConfig
from app.training.adaptation.faces import WideFaces
from app.training.adaptation.runner import Runner
from app.training.adaptation.views import View, cut, degrade

Progress = Callable[[int, int], None]
Halves = NDArray[np.float16]


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
    frozen: Runner, faces: WideFaces, config: AdaptationConfig, progress: Progress
) -> Iterator[list[Halves]]:
    """Features of every drawn view, one memory-mapped array (n, ...) a view, until the end.

    They take 16 KB a face and view: 2 GB for the default. Half precision is enough: it loses less
    than the int8 weights in front of it.
    """
    with TemporaryDirectory(prefix="facetwin-features-") as folder:
        features = []
        for number in range(config.views):
            progress(number, config.views)
            features.append(_view_features(frozen, faces, config, number, folder=Path(folder)))
        yield features


def _view_features(
    frozen: Runner,
    faces: WideFaces,
    config: AdaptationConfig,
    number: int,
    *,
    folder: Path,
) -> Halves:
    shape = (len(faces.pixels), *frozen.shape)
    features = np.lib.format.open_memmap(
        folder / f"{number}.npy", mode="w+", dtype=np.float16, shape=shape
    )
    drawn = frozen.chunks(
        len(faces.pixels), lambda row: drawn_view(faces.pixels[row], config, number, row)
    )
    for rows, output in drawn:
        features[rows] = output
    return features


def drawn_view(wide: Pixels, config: AdaptationConfig, number: int, row: int) -> Pixels:
    """View `number` of the photo at `row`: the same for the same seed."""
    random = np.random.default_rng([config.seed, number, row])
    face = cut(wide, config.jitter.draw(random))
    return degrade(face, random) if number < config.degraded else face
