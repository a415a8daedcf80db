"""What the frozen layers give for every view, kept on disk so that training never repeats it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import Floats, Pixels
from app.training import networks
from app.training.adaptation.config import CHUNK, AdaptationConfig
from app.training.adaptation.faces import WideFaces
from app.training.adaptation.views import View, cut, degrade

Progress = Callable[[int, int], None]
Halves = NDArray[np.float16]


def prepared(faces: Sequence[Pixels]) -> Floats:
    """Aligned faces as the embedding network takes them, shape (n, size, size, 3)."""
    mean = np.array(networks.RESNET29_MEAN, np.float32)
    return (np.stack(faces).astype(np.float32) - mean) * np.float32(networks.RESNET29_SCALE)


def teacher_embeddings(
    network: Any, faces: WideFaces, views: Sequence[View], progress: Progress
) -> Floats:
    """The mean embedding over views, at unit length, shape (n, d)."""
    seen = []
    for number, view in enumerate(views):
        progress(number, len(views))
        seen.append(run(network, [cut(wide, view) for wide in faces.pixels]))
    total = np.sum(seen, axis=0)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.asarray(total / np.maximum(length, 1e-12), np.float32)


def run(network: Any, faces: Sequence[Pixels]) -> Floats:
    """A network's outputs for aligned faces, in order."""
    parts = [
        np.asarray(network.predict_on_batch(prepared(faces[start : start + CHUNK])))
        for start in range(0, len(faces), CHUNK)
    ]
    return np.concatenate(parts)


@contextmanager
def frozen_features(
    frozen: Any, faces: WideFaces, config: AdaptationConfig, progress: Progress
) -> Iterator[list[Halves]]:
    """Features of every drawn view, one memory-mapped array (n, ...) a view, until the end.

    They take 16 KB a face and view: 2 GB for the default. Half precision is enough: it loses less
    than the networks' later int8 weights.
    """
    with TemporaryDirectory(prefix="facetwin-features-") as folder:
        features = []
        for number in range(config.views):
            progress(number, config.views)
            features.append(_view_features(frozen, faces, config, number, folder=Path(folder)))
        yield features


def _view_features(
    frozen: Any,
    faces: WideFaces,
    config: AdaptationConfig,
    number: int,
    *,
    folder: Path,
) -> Halves:
    shape = (len(faces.pixels), *frozen.output.shape[1:])
    features = np.lib.format.open_memmap(
        folder / f"{number}.npy", mode="w+", dtype=np.float16, shape=shape
    )
    for start in range(0, len(faces.pixels), CHUNK):
        rows = range(start, min(start + CHUNK, len(faces.pixels)))
        views = [drawn_view(faces.pixels[row], config, number, row) for row in rows]
        features[start : rows.stop] = frozen.predict_on_batch(prepared(views))
    return features


def drawn_view(wide: Pixels, config: AdaptationConfig, number: int, row: int) -> Pixels:
    """View `number` of the photo at `row`: the same for the same seed."""
    random = np.random.default_rng([config.seed, number, row])
    face = cut(wide, config.jitter.draw(random))
    return degrade(face, random) if number < config.degraded else face
