"""A network run over many faces in the precision that serves, on several threads."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Final

import numpy as np

from app.domain.entities import Floats, Pixels
from app.inference.litert import Network
from app.training import networks
from app.training.export import Precision, to_tflite

CHUNK: Final = 2
"""Faces that a network is run on at once; more take no less time each."""


def prepared(faces: Sequence[Pixels]) -> Floats:
    """Aligned faces as the embedding network takes them, shape (n, size, size, 3)."""
    mean = np.array(networks.RESNET29_MEAN, np.float32)
    return (np.stack(faces).astype(np.float32) - mean) * np.float32(networks.RESNET29_SCALE)


class Runner:
    """Runs a Keras network with int8 weights, as it will serve; five times as fast as Keras.

    Args:
        model: From prepared faces to one output.
        threads: Interpreters, and faces in work at once.
    """

    def __init__(self, model: Any, threads: int) -> None:
        self.shape: tuple[int, ...] = tuple(model.output.shape[1:])
        self._threads = threads
        self._idle: SimpleQueue[Network] = SimpleQueue()
        content = to_tflite(model, Precision.INT8)
        for _ in range(threads):
            self._idle.put(Network(content, name=model.name))

    def chunks(self, count: int, face: Callable[[int], Pixels]) -> Iterator[tuple[slice, Floats]]:
        """Outputs for `count` faces, in order: the rows, and the output (rows, ...).

        Args:
            count: Rows.
            face: Gives the aligned face of a row, (size, size, 3).
        """

        def run(rows: slice) -> Floats:
            network = self._idle.get()
            try:
                return network(prepared([face(row) for row in range(rows.start, rows.stop)]))[0]
            finally:
                self._idle.put(network)

        parts = [slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
        with ThreadPoolExecutor(self._threads) as executor:
            yield from zip(parts, executor.map(run, parts), strict=True)

    def run(self, count: int, face: Callable[[int], Pixels]) -> Floats:
        """`chunks` in one array, (count, ...)."""
        outputs = np.empty((count, *self.shape), np.float32)
        for rows, output in self.chunks(count, face):
            outputs[rows] = output
        return outputs
