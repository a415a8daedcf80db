from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from app.domain.entities import Floats
from app.training.adaptation.adapt import adapt, between
from app.training.adaptation.batches import PairBatches
from app.training.adaptation.config import AdaptationConfig
from app.training.adaptation.faces import MARGIN, WideFaces, numbered
from app.training.adaptation.features import drawn_view, run, teacher_embeddings
from app.training.adaptation.twin import adapting_twin
from app.training.adaptation.views import View, cut
from app.training.datasets import LabelledImage

SIZE = 16
CONFIG = AdaptationConfig(
    frozen_to="early",
    views=3,
    degraded=1,
    steps=120,
    people=6,
    rate=3e-3,
    warm_up=2,
    distillation_weight=0.1,
    scale=16.0,
    average=0.5,
    share=1.0,
)


def network() -> Any:
    """A small embedding network with a layer that can be frozen to."""
    import keras

    keras.utils.set_random_seed(7)
    image = keras.Input((SIZE, SIZE, 3))
    early = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="early")(image)
    late = keras.layers.Dense(16, name="late")(keras.layers.Flatten()(early))
    return keras.Model(image, late)


def faces(people: int = 12, photos: int = 3) -> WideFaces:
    """A smooth random pattern for each person, each photo of it with other noise."""
    random = np.random.default_rng(11)
    side = SIZE + 2 * MARGIN
    pixels, images = [], []
    for person in range(people):
        coarse = random.integers(100, 156, (8, 8, 3)).astype(np.float32)
        pattern = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
        for photo in range(photos):
            noisy = pattern + random.normal(0, 25, pattern.shape)
            pixels.append(np.clip(noisy, 0, 255).astype(np.uint8))
            folder = "celeba-wild" if person < 4 else "celeba-small"
            path = Path(folder) / f"{person:03d}" / f"{photo}.jpg"
            images.append(LabelledImage(path, f"{person:03d}"))
    return WideFaces(np.stack(pixels), tuple(images), numbered(images))


def separation(model: Any, shown: WideFaces) -> float:
    """Mean cosine of photos of one person less that of strangers."""
    embeddings = run(model, [cut(wide, View()) for wide in shown.pixels])
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    scores = embeddings @ embeddings.T
    same = shown.identities[:, None] == shown.identities[None]
    apart = ~np.eye(len(same), dtype=bool)
    return float(scores[same & apart].mean() - scores[~same].mean())


def nothing(_stage: str, _done: int, _total: int) -> None:
    """No report."""


def test_adapting_parts_people_and_leaves_the_early_layers_as_published() -> None:
    model, shown = network(), faces()
    early, late = (model.get_layer(name).get_weights() for name in ("early", "late"))
    before = separation(model, shown)
    adapt(model, shown, CONFIG, nothing)
    assert separation(model, shown) > before + 0.1
    assert all(map(np.array_equal, early, model.get_layer("early").get_weights()))
    assert not np.array_equal(late[0], model.get_layer("late").get_weights()[0])


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    weights = []
    for seed in (1, 1, 2):
        model = network()
        adapt(model, faces(), replace(CONFIG, seed=seed, steps=5), nothing)
        weights.append(model.get_layer("late").get_weights()[0])
    assert weights[0] == pytest.approx(weights[1], abs=1e-6)
    assert weights[0] != pytest.approx(weights[2], abs=1e-6)


def test_the_share_goes_from_the_published_to_the_trained_weights() -> None:
    start, end = [np.array([0.0, 2.0], np.float32)], [np.array([4.0, 2.0], np.float32)]
    assert between(start, end, 0.25)[0].tolist() == [1, 2]
    model = network()
    published = model.get_layer("late").get_weights()[0]
    adapt(model, faces(), replace(CONFIG, share=0.0, steps=3), nothing)
    assert np.array_equal(model.get_layer("late").get_weights()[0], published)


def test_the_teacher_is_the_unit_length_mean_over_views() -> None:
    model, shown = network(), faces(2, 2)
    views = (View(), View(mirrored=True))
    found = teacher_embeddings(model, shown, views, lambda _done, _total: None)
    each = [run(model, [cut(wide, view) for wide in shown.pixels]) for view in views]
    mean = np.mean(each, axis=0)
    assert found == pytest.approx(mean / np.linalg.norm(mean, axis=1, keepdims=True), abs=1e-5)


def test_the_first_views_are_the_degraded_ones() -> None:
    wide = np.full((SIZE + 2 * MARGIN,) * 2 + (3,), 128, np.uint8)
    assert (drawn_view(wide, CONFIG, 1, 0) == 128).all()
    assert any((drawn_view(wide, CONFIG, 0, row) != 128).any() for row in range(8))


def batches(people: int) -> tuple[PairBatches, WideFaces]:
    shown = faces(12, 3)
    features: list[Floats] = [
        np.full((36, 2), view, np.float32) + np.arange(36, dtype=np.float32)[:, None] * 10
        for view in range(3)
    ]
    wild = np.array([image.path.parts[0] == "celeba-wild" for image in shown.images])
    config = replace(CONFIG, people=people, wild_share=0.5)
    return PairBatches(features, shown.identities, wild, config), shown


def test_a_batch_holds_two_different_photos_of_each_of_its_people() -> None:
    drawn, shown = batches(6)
    batch, rows = drawn.batch(3)
    pairs = rows.reshape(6, 2)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    people = shown.identities[pairs]
    assert (people[:, 0] == people[:, 1]).all()
    assert len(set(people[:, 0])) == 6
    assert (batch[:, 0] // 10 == rows).all()
    assert set((batch[:, 0] % 10).astype(int)) <= {0, 1, 2}
    assert np.array_equal(rows, drawn.batch(3)[1])
    assert not np.array_equal(rows, drawn.batch(4)[1])


def test_half_of_the_people_are_wild_where_half_is_asked_for() -> None:
    drawn, shown = batches(4)
    counted = [
        sum(shown.images[row].path.parts[0] == "celeba-wild" for row in drawn.batch(step)[1])
        for step in range(100)
    ]
    assert np.mean(counted) == pytest.approx(4, abs=0.5)


def test_a_step_moves_only_the_rows_of_the_bank_that_it_saw() -> None:
    import keras

    features = keras.Input((4,))
    twin = adapting_twin(
        keras.Model(features, keras.layers.Dense(3)(features)),
        np.eye(3, dtype=np.float32)[[0, 1, 2, 0]],
        np.array([0, 0, 1, 1]),
        distillation_weight=1.0,
        scale=4.0,
        momentum=0.5,
    )
    twin.compile(optimizer=keras.optimizers.SGD(0.0))
    batch = np.array([[1, 0, 0, 0], [0, 1, 0, 0]], np.float32)
    embeddings = keras.ops.convert_to_numpy(twin(batch))
    twin.train_on_batch(batch, np.array([1, 2]))
    bank = twin.bank.numpy()
    assert bank[[0, 3]].tolist() == [[1, 0, 0], [1, 0, 0]]
    middle = (np.eye(3)[[1, 2]] + embeddings) / 2
    assert bank[[1, 2]] == pytest.approx(
        middle / np.linalg.norm(middle, axis=1, keepdims=True), abs=1e-5
    )
