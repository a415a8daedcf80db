"""Batches of faces, or of what layers made of them: prepared while the network trains.

What a batch holds is a function of its number alone, so both ways here give the same batches, and
a training that goes on after a kill sees what it would have seen.
"""

from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any, Final

from numpy.typing import NDArray

from app.domain.entities import Pixels

Arrays = tuple[NDArray[Any], ...]
Make = Callable[[int], Arrays]
"""The arrays of batch `step`, each with one row an example; called from several threads."""

FACES_BYTES: Final = 192 * 1024**2
"""Faces that are kept in memory: a sixteenth of what a job may take by default, most of which the
network needs. On a CPU a step takes so much longer that decoding the others costs nothing."""

_READY: Final = 2
"""Batches that are prepared ahead."""


class Faces:
    """Faces by row, decoded once and kept as long as there is room; for any number of threads.

    Args:
        load: Decodes the face of a row; it gives the same pixels every time.
        room: Bytes of faces that are kept; others are decoded whenever they are wanted.
    """

    def __init__(self, load: Callable[[int], Pixels], room: int = FACES_BYTES) -> None:
        self._load = load
        self._room = room
        self._kept: dict[int, Pixels] = {}
        self._lock = Lock()

    def __call__(self, row: int) -> Pixels:
        """The face of a row; it must not be written to."""
        kept = self._kept.get(row)
        if kept is not None:
            return kept
        face = self._load(row)
        with self._lock:
            if row not in self._kept and face.nbytes <= self._room:
                self._room -= face.nbytes
                self._kept[row] = face
        return face


def numpy_batches(make: Make, steps: range) -> Iterator[Arrays]:
    """Batches one after the other, as NumPy arrays."""
    yield from map(make, steps)


def tf_batches(make: Make, steps: range, *, threads: int) -> Iterator[tuple[Any, ...]]:
    """The same batches as tensors, prepared ahead by tf.data.

    Args:
        make: Prepares a batch.
        steps: Consecutive numbers of batches.
        threads: Batches in preparation at once.

    Raises:
        Exception: What `make` raises, as it raised it.
    """
    import tensorflow as tf

    if not steps:
        return
    kinds = [(array.dtype, array.shape[1:]) for array in make(steps.start)]
    failures: list[Exception] = []
    making = [make]  # TensorFlow keeps the function below, with all that it holds, to the end

    def guarded(step: Any) -> Arrays:
        try:
            return making[0](int(step))
        except Exception as error:
            failures.append(error)
            raise

    def prepared(step: Any) -> tuple[Any, ...]:
        arrays = tf.numpy_function(guarded, [step], [kind for kind, _shape in kinds])
        shaped = zip(arrays, kinds, strict=True)
        return tuple(tf.ensure_shape(array, (None, *shape)) for array, (_kind, shape) in shaped)

    ready = iter(
        tf.data.Dataset.range(steps.start, steps.stop)
        .map(prepared, num_parallel_calls=threads, deterministic=True)
        .prefetch(_READY)
    )
    try:
        yield from ready
    except tf.errors.OpError:
        # TensorFlow would wrap it, and hide which photo is gone.
        if failures:
            raise failures[0] from None
        raise
    finally:
        del ready  # nothing is being made any more
        making.clear()
        failures.clear()
