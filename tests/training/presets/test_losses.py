"""Losses on embeddings at known angles, against sums written out here."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from app.domain.entities import Floats
from app.training.presets import losses

OWN = np.array([0])


def cos(degrees: float) -> float:
    return math.cos(math.radians(degrees))


def at(*degrees: float) -> Floats:
    """Unit vectors in the plane."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def cosines(*degrees: float) -> Floats:
    """Of one face with classes at these angles, the first its own; shape (1, classes)."""
    return np.array([[cos(angle) for angle in degrees]], np.float32)


def test_pair_cross_entropy_is_the_mean_over_both_kinds() -> None:
    # of one person at logit 2: log(1 + e^-2); of two people at logit -1: log(1 + e^-1)
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2
    found = losses.pair_cross_entropy(np.array([2.0, -1.0]), np.array([1, 0]))
    assert float(found) == pytest.approx(expected, abs=1e-6)


def test_pair_cross_entropy_is_finite_where_a_sigmoid_is_none() -> None:
    found = losses.pair_cross_entropy(np.array([-500.0, 500.0]), np.array([1, 0]))
    assert float(found) == pytest.approx(500.0)


def test_the_contrast_of_a_batch_is_that_of_each_pair_against_all_strangers() -> None:
    # at scale 4: 0 and 60 degrees are one person; 90 is 90 and 30 degrees away from them, and has
    # nobody. Each of the pair: log(1 + e^(4 * (stranger - partner))); the third costs nothing.
    first = math.log1p(math.exp(4 * (cos(90) - cos(60))))
    second = math.log1p(math.exp(4 * (cos(30) - cos(60))))
    found = losses.supervised_contrast(at(0, 60, 90), np.array([7, 7, 9]), 4.0)
    assert float(found) == pytest.approx((first + second + 0) / 3, abs=1e-5)


def test_arcface_widens_the_angle_to_the_own_class_alone() -> None:
    found = losses.arcface_logits(cosines(60, 80), OWN, margin=math.radians(20), scale=10.0)
    # cos(60 + 20) = cos 80, so the face is as far from its own class as from the other
    assert np.asarray(found) == pytest.approx(np.array([[10 * cos(80), 10 * cos(80)]]), abs=1e-4)
    assert float(losses.class_cross_entropy(found, OWN)) == pytest.approx(math.log(2), abs=1e-5)


def test_arcface_ends_at_the_opposite() -> None:
    found = losses.arcface_logits(cosines(170, 90), OWN, margin=0.5, scale=1.0)
    assert np.asarray(found) == pytest.approx(np.array([[-1.0, 0.0]]), abs=1e-4)


@pytest.mark.parametrize(
    ("quality", "expected"),
    [
        (0.0, cos(60) - 0.4),  # cos(angle - 0) - 0.4 * 1
        (1.0, math.cos(math.radians(60) - 0.4) - 0.8),
        (-1.0, math.cos(math.radians(60) + 0.4)),
        (0.5, math.cos(math.radians(60) - 0.2) - 0.6),
    ],
)
def test_adaface_asks_more_of_good_photos(quality: float, expected: float) -> None:
    found = losses.adaface_logits(
        cosines(60, 80), OWN, np.array([quality], np.float32), margin=0.4, scale=10.0
    )
    assert np.asarray(found) == pytest.approx(np.array([[10 * expected, 10 * cos(80)]]), abs=1e-4)


def test_quality_is_how_far_a_length_is_from_the_mean() -> None:
    lengths = np.array([20.0, 23.0, 14.0, 60.0, 1.0], np.float32)
    # (23 - 20) / 4 / 3 = 0.25; (14 - 20) / 4 / 3 = -0.5; the last two are cut off
    found = losses.relative_quality(lengths, 20.0, 4.0, concentration=1 / 3)
    assert np.asarray(found) == pytest.approx([0.0, 0.25, -0.5, 1.0, -1.0], abs=1e-6)


def test_class_cross_entropy_of_three_classes() -> None:
    # logits 2, 1, 0 and own class 1: log(e^2 + e^1 + e^0) - 1
    expected = math.log(math.exp(2) + math.e + 1) - 1
    found = losses.class_cross_entropy(np.array([[2.0, 1.0, 0.0]], np.float32), np.array([1]))
    assert float(found) == pytest.approx(expected, abs=1e-6)


def contrast_of_equals(embeddings: Any) -> Any:
    return losses.supervised_contrast(embeddings, np.array([0, 0, 1, 1]), 64.0)


def arcface(embeddings: Any) -> Any:
    classes = at(0, 180).T
    logits = losses.arcface_logits(embeddings @ classes, np.array([0, 1, 0, 1]))
    return losses.class_cross_entropy(logits, np.array([0, 1, 0, 1]))


def adaface(embeddings: Any) -> Any:
    quality = losses.relative_quality(tf.norm(embeddings, axis=-1), 1.0, 0.0)
    logits = losses.adaface_logits(embeddings @ at(0, 180).T, np.array([0, 1, 0, 1]), quality)
    return losses.class_cross_entropy(logits, np.array([0, 1, 0, 1]))


@pytest.mark.parametrize("loss", [contrast_of_equals, arcface, adaface])
def test_gradients_are_finite_at_equal_and_opposite_embeddings(
    loss: Callable[[Any], Any],
) -> None:
    embeddings = tf.Variable(at(0, 0, 180, 180))  # cosines of exactly 1 and -1
    with tf.GradientTape() as tape:
        value = loss(embeddings)
    gradient = tape.gradient(value, embeddings)
    assert np.isfinite(float(value))
    assert np.isfinite(np.asarray(tf.convert_to_tensor(gradient))).all()


@pytest.mark.parametrize("loss", ["arcface", "adaface"])
def test_a_margin_pulls_a_face_towards_its_class(loss: str) -> None:
    embeddings = tf.Variable(at(60))
    with tf.GradientTape() as tape:
        found = embeddings @ at(0, 90).T
        logits = (
            losses.arcface_logits(found, OWN)
            if loss == "arcface"
            else losses.adaface_logits(found, OWN, np.zeros(1, np.float32))
        )
        value = losses.class_cross_entropy(logits, OWN)
    towards = -np.asarray(tape.gradient(value, embeddings))[0]
    assert towards @ at(0)[0] > 0 > towards @ at(90)[0]
