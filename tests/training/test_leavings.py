"""What a stage leaves in memory."""

import gc
import os
import weakref

import keras
import numpy as np
import tensorflow as tf

from app.training.leavings import empty, let_go
from app.worker.limits import resident_bytes

LARGE = 300 * 1024**2


class Model:
    """Holds itself, as what Keras compiles does."""

    def __init__(self) -> None:
        self.own = self


def test_what_holds_itself_goes_at_once() -> None:
    gc.disable()
    try:
        gone = weakref.ref(Model())
        assert gone() is not None
        let_go()
        assert gone() is None
    finally:
        gc.enable()


def test_what_tensorflow_has_freed_goes_back_to_the_system_and_what_it_holds_stays() -> None:
    kept = tf.random.stateless_uniform([LARGE // 4], seed=(1, 2))
    before = float(tf.reduce_sum(kept))
    freed = tf.ones([LARGE // 4])
    held = resident_bytes(os.getpid())
    del freed
    let_go()
    assert resident_bytes(os.getpid()) < held - LARGE * 0.9
    assert float(tf.reduce_sum(kept)) == before


def test_an_emptied_model_holds_nothing() -> None:
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
    model.compile(optimizer="adam", loss="mse")
    model.train_on_batch(np.ones((2, 8), np.float32), np.ones((2, 3), np.float32))
    weights = model.get_weights()
    empty(model)
    assert all(np.asarray(v.value).shape == () for v in model.weights + model.optimizer.variables)
    assert [weight.shape for weight in weights] == [(8, 3), (3,)]
