"""LiteRT interpreters: one thread each, one caller at a time, shapes cached within a bound."""

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from threading import Lock
from typing import Any, Final

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from app.domain.entities import Floats
from app.domain.errors import BundleError

Shape = tuple[int, ...]

DEFAULT_BUDGET: Final = 500_000
"""Holds the pyramids of three photo sizes around 640x480, or of one of 1280x720. A proposal
network takes about 100 bytes an element (measured), so this is about 50 MB a thread."""


class Network:
    """A .tflite network that runs at any input shape it supports.

    Preparing a shape costs more than a run of a small network, so the interpreters of the last
    shapes are kept. A prepared shape holds memory in proportion to its input, so what bounds the
    cache is the size of the inputs, not their number. An instance must not be used by two threads
    at once.

    Args:
        model: Content of the .tflite file.
        name: For error messages.
        budget: Input elements, over all shapes, that are kept prepared; the last shape always is.
    """

    def __init__(self, model: bytes, *, name: str, budget: int = DEFAULT_BUDGET) -> None:
        self._model = model
        self._name = name
        self._budget = budget
        self._prepared: OrderedDict[Shape, _Prepared] = OrderedDict()

    def __call__(self, batch: Floats) -> list[Floats]:
        """Run once: input (n, ...) float32 to the outputs in the order of the network.

        Outputs are copies.

        Raises:
            BundleError: If the network can't run this shape.
        """
        prepared = self._prepared.get(batch.shape)
        if prepared is None:
            prepared = self._prepare(batch.shape)
        else:
            self._prepared.move_to_end(batch.shape)
        return prepared.run(batch)

    def _prepare(self, shape: Shape) -> "_Prepared":
        while self._prepared and self._kept() + prod(shape) > self._budget:
            self._prepared.popitem(last=False)
        try:
            prepared = _Prepared(self._model, shape)
        except (ValueError, RuntimeError) as error:
            raise BundleError(f"The network {self._name} can't run on {shape}: {error}") from error
        self._prepared[shape] = prepared
        return prepared

    def _kept(self) -> int:
        return sum(prod(shape) for shape in self._prepared)


class _Prepared:
    def __init__(self, model: bytes, shape: Shape) -> None:
        self._interpreter: Any = Interpreter(model_content=model, num_threads=1)
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [d["index"] for d in _in_network_order(self._interpreter)]
        self._interpreter.resize_tensor_input(self._input, shape)
        with _without_banner():
            self._interpreter.allocate_tensors()

    def run(self, batch: Floats) -> list[Floats]:
        self._interpreter.set_tensor(self._input, np.ascontiguousarray(batch, np.float32))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


_first = Lock()


@contextmanager
def _without_banner() -> Iterator[None]:
    """Hold back the line that LiteRT prints past any logging when its first delegate is made.

    It would stand between JSON logs and before the answers of every command. Errors come as
    exceptions. The lock is taken once and kept, so only the first interpreter is affected.
    """
    if not _first.acquire(blocking=False):
        yield
        return
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _in_network_order(interpreter: Any) -> list[Any]:
    """The converter shuffles outputs, but their names end in :0, :1, ... in the network's order."""
    return sorted(interpreter.get_output_details(), key=lambda d: d["name"])
