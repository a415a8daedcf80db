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

ONE_SHAPE: Final = 0
"""The budget of a network that is cheap to prepare: one interpreter takes shape after shape."""

_WASTE: Final = 2
"""Times the elements of a new shape that an interpreter may hold to be given it."""


class Network:
    """A .tflite network that runs at any input shape it supports.

    Preparing a large shape takes as long as running it, so the interpreters of the last shapes are
    kept. A prepared shape holds memory in proportion to its input, so what bounds the cache is the
    size of the inputs, not their number. An interpreter that has to make room takes the new shape
    itself: that keeps its packed weights, and costs a third of making another one. An instance
    must not be used by two threads at once.

    Args:
        model: Content of the .tflite file.
        name: For error messages.
        budget: Input elements, over all shapes, that are kept prepared; the last shape always is.
    """

    def __init__(self, model: bytes, *, name: str, budget: int = ONE_SHAPE) -> None:
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
        spare = self._make_room(prod(shape))
        try:
            prepared = spare or _Prepared(self._model)
            prepared.resize(shape)
        except (ValueError, RuntimeError) as error:
            raise BundleError(f"The network {self._name} can't run on {shape}: {error}") from error
        self._prepared[shape] = prepared
        return prepared

    def _make_room(self, elements: int) -> "_Prepared | None":
        """Drop the shapes that were not used for longest.

        Returns:
            An interpreter of them that can take as many elements without holding far more.
        """
        spare = None
        while self._prepared and self._kept() + elements > self._budget:
            _, dropped = self._prepared.popitem(last=False)
            if self._budget == ONE_SHAPE or dropped.capacity <= _WASTE * elements:
                spare = dropped
        return spare

    def _kept(self) -> int:
        return sum(prepared.capacity for prepared in self._prepared.values())


class _Prepared:
    """An interpreter; its memory grows with the largest input so far, and never shrinks."""

    def __init__(self, model: bytes) -> None:
        self.capacity = 0
        self._interpreter: Any = Interpreter(model_content=model, num_threads=1)
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [d["index"] for d in _in_network_order(self._interpreter)]

    def resize(self, shape: Shape) -> None:
        self.capacity = max(self.capacity, prod(shape))
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
