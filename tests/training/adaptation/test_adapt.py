from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from app.domain.entities import Floats
from app.training.adaptation.adapt import adapt
from app.training.adaptation.batches import PairBatches
from app.training.adaptation.config import AdaptationConfig
from app.training.adaptation.faces import MARGIN, WideFaces, numbered
from app.training.adaptation.features import drawn_view, teacher_embeddings
from app.training.adaptation.runner import Runner, prepared
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
    weight=1.0,
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


def embedded(model: Any, shown: WideFaces, view: View) -> Floats:
    """Unit-length embeddings of a view of each face."""
    found = np.asarray(model(prepared([cut(wide, view) for wide in shown.pixels])))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def separation(model: Any, shown: WideFaces) -> float:
    """Mean cosine of photos of one person less that of strangers."""
    embeddings = embedded(model, shown, View())
    scores = embeddings @ embeddings.T
    same = shown.identities[:, None] == shown.identities[None]
    apart = ~np.eye(len(same), dtype=bool)
    return float(scores[same & apart].mean() - scores[~same].mean())


def nothing(_stage: str, _done: int, _total: int) -> None:
    """No report."""


def trained(model: Any) -> Floats:
    """The weights of the second end's last layer."""
    found: Floats = model.get_layer("second_end").get_layer("late").get_weights()[0]
    return found


def test_adapting_parts_people_and_leaves_the_published_layers_as_they_are() -> None:
    model, shown = network(), faces()
    published = model.get_weights()
    moved = adapt(model, shown, CONFIG, nothing)
    assert separation(moved, shown) > separation(model, shown) + 0.1
    assert all(map(np.array_equal, published, model.get_weights()))
    assert not np.array_equal(trained(moved), model.get_layer("late").get_weights()[0])


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    weights = [
        trained(adapt(network(), faces(), replace(CONFIG, seed=seed, steps=5), nothing))
        for seed in (1, 1, 2)
    ]
    assert weights[0] == pytest.approx(weights[1], abs=1e-6)
    assert weights[0] != pytest.approx(weights[2], abs=1e-6)


def test_the_embedding_is_the_weighted_sum_of_both_ends() -> None:
    import keras

    model, shown = network(), faces(3, 2)
    moved = adapt(model, shown, replace(CONFIG, weight=0.25, steps=3, people=3), nothing)
    batch = prepared([cut(wide, View()) for wide in shown.pixels])
    early = keras.Model(model.input, model.get_layer("early").output)(batch)
    ends = [np.asarray(model(batch)), np.asarray(moved.get_layer("second_end")(early))]
    first, second = (end / np.linalg.norm(end, axis=1, keepdims=True) for end in ends)
    assert np.asarray(moved(batch)) == pytest.approx(first + 0.25 * second, abs=1e-5)


def test_the_teacher_is_the_unit_length_mean_over_views() -> None:
    model, shown = network(), faces(2, 2)
    views = (View(), View(mirrored=True))
    found = teacher_embeddings(Runner(model, 1), shown, views, lambda _done, _total: None)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    each = [np.asarray(model(prepared([cut(w, v) for w in shown.pixels]))) for v in views]
    mean = np.mean(each, axis=0)
    cosines = (found * mean).sum(axis=1) / np.linalg.norm(mean, axis=1)
    assert (cosines > 0.999).all()  # the teacher's weights are int8


def test_a_runner_gives_every_row_its_own_output_on_several_threads() -> None:
    model, shown = network(), faces(5, 1)
    found = Runner(model, 3).run(5, lambda row: cut(shown.pixels[row], View()))
    exact = np.asarray(model(prepared([cut(wide, View()) for wide in shown.pixels])))
    cosines = (found * exact).sum(axis=1)
    cosines /= np.linalg.norm(found, axis=1) * np.linalg.norm(exact, axis=1)
    assert (cosines > 0.999).all()


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
