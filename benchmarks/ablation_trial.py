"""A variant of the embedding on validation photos: true accept rates, and time."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from statistics import median
from time import thread_time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.cli.output import progress_bar
from app.domain.entities import Floats
from app.domain.errors import InvalidRequestError
from app.inference.litert import Network
from app.training.adaptation.adapt import is_wild
from app.training.adaptation.faces import WideFaces
from app.training.adaptation.runner import prepared
from app.training.adaptation.views import View, cut
from app.training.metrics import tar_at_fmr
from benchmarks.report import rounded

RATES: Final = {"1e-2": 1e-2, "1e-3": 1e-3, "1e-4": 1e-4}
"""False match rates by name."""

THREADS: Final = 2
"""Faces in work at once; times are taken on one."""

_WARM_UP: Final = 10
_TURNS: Final = 50


@dataclass(frozen=True, slots=True)
class Row:
    """A variant's figures.

    Attributes:
        variant: In words.
        tar: True accept rate by name of the false match rate, over all photos.
        uncropped_tar: The same over the uncropped photos.
        cpu_ms: Median of the network's run on one face with its views, one thread, in time of the
            processor; detection, alignment and preparation come on top.
    """

    variant: str
    tar: dict[str, float]
    uncropped_tar: dict[str, float]
    cpu_ms: float

    def cells(self) -> tuple[str, ...]:
        """As a row for people."""
        tars = (*self.tar.values(), *self.uncropped_tar.values())
        return (self.variant, *(f"{100 * tar:.1f}" for tar in tars), f"{self.cpu_ms:.1f}")


class Trial:
    """The photos that every variant is tried on.

    Args:
        faces: Of the photos.
    """

    def __init__(self, faces: WideFaces) -> None:
        self._faces = faces.pixels
        self._identities = faces.identities
        self._wild = np.array([is_wild(image.path) for image in faces.images])

    def embed(self, network: bytes, views: Sequence[View], title: str) -> Floats:
        """What a .tflite network gives for the views of every face, (n, views, ...)."""
        done, total = count(1), len(self._faces)

        def part(rows: NDArray[np.intp]) -> list[Floats]:
            own, outputs = Network(network, name=title), []
            for row in rows:
                outputs.append(own(self._batch(int(row), views))[0])
                progress(next(done), total)
            return outputs

        with progress_bar(title) as progress, ThreadPoolExecutor(THREADS) as executor:
            parts = executor.map(part, np.array_split(np.arange(total), THREADS))
            return np.stack([output for outputs in parts for output in outputs])

    def cpu_ms(self, network: bytes, views: Sequence[View]) -> float:
        """Milliseconds of the network's run on the views of one face."""
        return median_cpu_ms(network, self._batch(0, views))

    def row(
        self, variant: str, embeddings: Floats, cpu_ms: float, common: Floats | None = None
    ) -> Row:
        """A variant's figures.

        Args:
            variant: In words.
            embeddings: Unit length, (n, d).
            cpu_ms: Of one face.
            common: Commonness of each face, (n,), to subtract from its cosines.
        """
        scores = embeddings @ embeddings.T
        if common is not None:
            scores -= common[:, None] + common[None]
        wild = self._wild
        uncropped = true_accept_rates(scores[np.ix_(wild, wild)], self._identities[wild])
        return Row(variant, true_accept_rates(scores, self._identities), uncropped, rounded(cpu_ms))

    def _batch(self, row: int, views: Sequence[View]) -> Floats:
        return prepared([cut(self._faces[row], view) for view in views])


def true_accept_rates(scores: Floats, identities: NDArray[np.intp]) -> dict[str, float]:
    """True accept rate at each of `RATES` over all pairs of photos.

    Args:
        scores: Of each photo with each, (n, n).
        identities: Shape (n,).

    Raises:
        InvalidRequestError: If no pair, or every pair, is of one person.
    """
    upper = np.triu_indices(len(identities), 1)
    same = identities[upper[0]] == identities[upper[1]]
    if same.all() or not same.any():
        raise InvalidRequestError("The photos give no genuine pair or no impostor pair.")
    pairs = scores[upper]
    genuine, impostor = pairs[same], pairs[~same]
    return {name: tar_at_fmr(genuine, impostor, rate) for name, rate in RATES.items()}


def median_cpu_ms(network: bytes, batch: Floats) -> float:
    """Milliseconds of the processor that a run of a .tflite network takes, in one thread."""
    run, times = Network(network, name="timed"), []
    for _ in range(_WARM_UP + _TURNS):
        started = thread_time()
        run(batch)
        times.append((thread_time() - started) * 1000)
    return median(times[_WARM_UP:])
