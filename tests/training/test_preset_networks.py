"""The networks that presets train: sizes to the letter, and poolings that agree."""

from typing import Any

import keras
import numpy as np
import pytest

from app.domain.training import Pooling
from app.training.networks import compact_network, seed_network, siamese
from app.training.networks.seed import _halved


@pytest.mark.parametrize("pooling", Pooling)
def test_the_seed_network_has_the_tutorials_parameters(pooling: Pooling) -> None:
    embedding = seed_network(pooling)
    assert embedding.count_params() == 38_960_448
    network = siamese(embedding)
    assert network.get_layer("head").count_params() == 4_097
    assert network.count_params() == 38_964_545
    assert embedding.output.shape == (None, 4096)
    maps = [embedding.get_layer(name).output.shape[1:] for name in ("conv2", "conv3", "conv4")]
    assert maps == [(40, 40, 128), (17, 17, 128), (6, 6, 256)]


def test_the_compact_network_has_about_a_million_parameters() -> None:
    network = compact_network()
    assert network.count_params() == 1_022_720
    assert network.output.shape == (None, 128)
    assert network.get_layer("weighted_sum").output.shape == (None, 1, 1, 512)


def pooled(separable: bool) -> Any:
    """A convolution and the tutorial's pooling, in two steps or, as published, in one."""
    keras.utils.set_random_seed(3)
    image = keras.Input((23, 23, 3))
    x = keras.layers.Conv2D(8, 3, activation="relu")(image)
    if separable:
        x = _halved(x, 64, "pool")
    else:
        x = keras.layers.MaxPooling2D(64, (2, 2), padding="same")(x)
    return keras.Model(image, keras.layers.Dense(5)(keras.layers.Flatten()(x)))


def test_pooling_along_one_axis_and_then_the_other_is_the_tutorials_pooling() -> None:
    import tensorflow as tf

    images = np.random.default_rng(4).random((3, 23, 23, 3)).astype(np.float32)
    images[1, :, :12] = 1.0  # saturated: ties between equal patches
    images[2] = 0.0
    found = []
    for separable in (False, True):
        model = pooled(separable)
        with tf.GradientTape() as tape:
            output = model(images)
            loss = tf.reduce_sum(output**2)
        gradients = tape.gradient(loss, model.trainable_variables)
        found.append((output.numpy(), [gradient.numpy() for gradient in gradients]))
    assert (found[0][0] == found[1][0]).all()
    for whole, separable_gradient in zip(found[0][1], found[1][1], strict=True):
        assert separable_gradient == pytest.approx(whole, rel=1e-4, abs=1e-4)


def test_the_logit_is_the_bias_less_the_weighted_distance() -> None:
    image = keras.Input((2,))
    network = siamese(keras.Model(image, keras.layers.Identity()(image)))
    network.get_layer("head").set_weights([np.array([[2.0], [0.5]]), np.array([3.0])])
    first, second = np.array([[1.0, 4.0]]), np.array([[0.25, 6.0]])
    # 3 - 2 * |1 - 0.25| - 0.5 * |4 - 6| = 3 - 1.5 - 1
    assert float(network([first, second])[0, 0]) == pytest.approx(0.5)
    assert float(network([second, first])[0, 0]) == pytest.approx(0.5)


def test_training_keeps_the_heads_weights_from_falling_below_zero() -> None:
    image = keras.Input((4,))
    network = siamese(keras.Model(image, keras.layers.Identity()(image)))
    head = network.get_layer("head")
    assert (head.kernel.numpy() >= 0).all()
    network.compile(optimizer=keras.optimizers.SGD(10.0), loss="mse")
    near, far = np.zeros((2, 4)), np.ones((2, 4))
    network.train_on_batch([near, far], np.full((2, 1), 50.0))  # wants strangers to be alike
    assert (head.kernel.numpy() == 0).all()
