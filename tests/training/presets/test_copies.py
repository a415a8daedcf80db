"""The tutorial's augmentation against tf.image, with which the tutorial does it."""

import numpy as np
import pytest
import tensorflow as tf

from app.domain.entities import Pixels
from app.training.presets import copies
from tests import pictures


@pytest.fixture(scope="module")
def face() -> Pixels:
    return np.ascontiguousarray(pictures.read(pictures.ASTRONAUT)[50:150, 170:270])


def off(found: Pixels, expected: tf.Tensor) -> int:
    """Largest difference, in gray levels."""
    return int(np.abs(found.astype(int) - expected.numpy().astype(int)).max())


def test_each_change_is_that_of_tf_image(face: Pixels) -> None:
    assert off(copies.brightened(face, 0.02), tf.image.adjust_brightness(face, 0.02)) <= 1
    assert off(copies.brightened(face, -0.02), tf.image.adjust_brightness(face, -0.02)) <= 1
    assert off(copies.contrasted(face, 0.6), tf.image.adjust_contrast(face, 0.6)) <= 1
    assert off(copies.saturated(face, 0.9), tf.image.adjust_saturation(face, 0.9)) <= 1


def test_a_compressed_image_keeps_its_channels_in_order(face: Pixels) -> None:
    found = copies.compressed(face, 90).astype(int)
    assert 0 < np.abs(found - face).mean() < 4
    swapped = np.abs(found - face[..., ::-1]).mean()
    assert swapped > 2 * np.abs(found - face).mean()


def test_the_first_is_the_image_and_nine_are_like_it_but_not_it(face: Pixels) -> None:
    assert copies.copied(face, 0, (1, 5)) is face
    found = [copies.copied(face, number, (1, 5)) for number in range(1, copies.COPIES + 1)]
    assert len({copy.tobytes() for copy in (face, *found)}) == 10
    for copy in found:
        assert copy.shape == face.shape
        alike = min(np.abs(copy.astype(int) - f).mean() for f in (face, face[:, ::-1]))
        assert alike < 25


def test_a_copy_depends_on_its_number_and_seed_alone(face: Pixels) -> None:
    first = copies.copied(face, 3, (1, 5))
    assert (copies.copied(face, 3, (1, 5)) == first).all()
    for other in (copies.copied(face, 4, (1, 5)), copies.copied(face, 3, (2, 5))):
        assert (other != first).any()
    assert (copies.copied(face, 3, (1, 6)) != first).any()
