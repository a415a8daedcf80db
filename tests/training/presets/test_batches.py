import gc
import weakref
from threading import Barrier, Thread

import numpy as np
import pytest

from app.domain.entities import Pixels
from app.domain.errors import TrainingDataError
from app.training.presets.batches import Arrays, Faces, numpy_batches, tf_batches


def make(step: int) -> Arrays:
    """Three examples and their labels, drawn from the number of the batch."""
    random = np.random.default_rng([7, step])
    return random.random((3, 4, 4, 3)).astype(np.float32), random.integers(9, size=(3,))


def test_tf_data_gives_the_batches_that_numpy_gives_in_their_order() -> None:
    steps = range(5, 17)
    plain = list(numpy_batches(make, steps))
    prepared = list(tf_batches(make, steps, threads=3))
    assert len(plain) == len(prepared) == 12
    for expected, found in zip(plain, prepared, strict=True):
        for array, tensor in zip(expected, found, strict=True):
            assert tensor.dtype == array.dtype
            assert (tensor.numpy() == array).all()
    assert (plain[0][0] != plain[1][0]).any()


def test_going_on_in_the_middle_gives_the_rest() -> None:
    whole = [tensors[0].numpy() for tensors in tf_batches(make, range(6), threads=2)]
    rest = [tensors[0].numpy() for tensors in tf_batches(make, range(4, 6), threads=2)]
    assert np.array_equal(whole[4:], rest)
    assert list(tf_batches(make, range(3, 3), threads=2)) == []


def test_an_error_comes_out_as_it_went_in() -> None:
    def failing(step: int) -> Arrays:
        if step == 2:
            raise TrainingDataError("A photo is gone.")
        return make(step)

    with pytest.raises(TrainingDataError, match="A photo is gone"):
        list(tf_batches(failing, range(5), threads=2))


def test_nothing_is_kept_of_who_made_the_batches() -> None:
    """Features and faces take hundreds of megabytes, and a job goes on for long after training."""

    class Photos:
        def make(self, step: int) -> Arrays:
            return make(step)

    photos = Photos()
    gone = weakref.ref(photos)
    assert len(list(tf_batches(photos.make, range(3), threads=2))) == 3
    stopped = tf_batches(photos.make, range(3), threads=2)
    next(stopped)
    del photos, stopped
    gc.collect()
    assert gone() is None


def test_a_face_is_decoded_once_while_there_is_room() -> None:
    decoded: list[int] = []

    def load(row: int) -> Pixels:
        decoded.append(row)
        return np.full((2, 2, 3), row, np.uint8)

    faces = Faces(load, room=2 * 12)
    for _ in range(3):
        assert [int(faces(row)[0, 0, 0]) for row in (4, 5, 6)] == [4, 5, 6]
    assert decoded == [4, 5, 6, 6, 6]


def test_two_threads_that_decode_a_face_at_once_keep_one() -> None:
    meeting = Barrier(2)

    def load(row: int) -> Pixels:
        meeting.wait(30)
        return np.zeros((2, 2, 3), np.uint8)

    faces = Faces(load, room=2 * 12)
    both = [Thread(target=faces, args=(1,)) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert faces(1) is faces(1)
    assert faces._room == 12
