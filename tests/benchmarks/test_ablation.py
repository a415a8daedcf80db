"""The ablation, on a network of two small ends."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.domain.entities import Floats
from app.domain.errors import BundleError, InvalidRequestError
from app.inference.bundle import Bundle
from app.training.adaptation.faces import MARGIN, WideFaces, numbered
from app.training.adaptation.runner import prepared
from app.training.adaptation.views import View, cut
from app.training.datasets import LabelledImage
from app.training.export import Precision, to_tflite
from app.training.metrics import tar_at_fmr
from app.training.networks import with_second_end
from benchmarks.ablation_networks import both_ends, halfway, two_ended
from benchmarks.ablation_rows import MIRROR, direction, summed
from benchmarks.ablation_trial import RATES, Trial, true_accept_rates

SIZE = 12
WEIGHT = 0.3


def one_ended() -> Any:
    import keras

    keras.utils.set_random_seed(3)
    image = keras.Input((SIZE, SIZE, 3))
    early = keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="early")(image)
    bent = keras.layers.Conv2D(4, 3, activation="relu", name="bent")(early)
    late = keras.layers.Dense(8, name="late")(keras.layers.Flatten()(bent))
    return keras.Model(image, late, name="small")


def with_two_ends() -> Any:
    """A second end like the one of the adaptation: a copy, moved a little."""
    import keras

    network = one_ended()
    border = network.get_layer("early").output
    published = keras.Model(border, network.output)
    end = keras.models.clone_model(published)
    random = np.random.default_rng(5)
    moved = [w + random.normal(0, 0.2, w.shape) for w in published.get_weights()]
    end.set_weights(moved)
    return with_second_end(network, "early", end, WEIGHT)


def faces(*photos: str) -> WideFaces:
    side = SIZE + 2 * MARGIN
    pixels = np.random.default_rng(7).integers(0, 256, (len(photos), side, side, 3), np.uint8)
    images = tuple(LabelledImage(Path(photo), Path(photo).parent.name) for photo in photos)
    return WideFaces(pixels, images, numbered(images))


def batch(shown: WideFaces, view: View) -> Floats:
    return prepared([cut(wide, view) for wide in shown.pixels])


def kept(bundle: Bundle, network: Any, folder: Path) -> Bundle:
    """A bundle that keeps `network`."""
    assert bundle.manifest.embedding.keras
    network.save(folder / bundle.manifest.embedding.keras)
    return replace(bundle, directory=folder)


def test_rates_are_those_of_every_pair_once() -> None:
    random = np.random.default_rng(1)
    identities = np.repeat(np.arange(30), 4)
    people = random.normal(size=(30, 16))[identities]
    embeddings = (people + random.normal(0, 1.1, people.shape)).astype(np.float32)
    scores = embeddings @ embeddings.T
    genuine, impostor = list[float](), list[float]()
    for a, b in combinations(range(len(identities)), 2):
        (genuine if identities[a] == identities[b] else impostor).append(scores[a, b])
    expected = {n: tar_at_fmr(np.array(genuine), np.array(impostor), r) for n, r in RATES.items()}
    assert true_accept_rates(scores, identities) == expected
    assert 0 < expected["1e-3"] < expected["1e-2"] < 1


def test_photos_without_two_of_a_person_give_no_rate() -> None:
    with pytest.raises(InvalidRequestError, match="no genuine pair"):
        true_accept_rates(np.eye(3, dtype=np.float32), np.arange(3))


def test_ends_summed_at_the_served_weight_are_what_the_network_gives() -> None:
    network, shown = with_two_ends(), faces("w/1/a", "w/1/b", "w/2/c")
    ends = np.stack([np.asarray(both_ends(network)(batch(shown, v))) for v in MIRROR], axis=1)
    served = np.stack([np.asarray(network(batch(shown, v))) for v in MIRROR], axis=1)
    assert summed(ends, WEIGHT) == pytest.approx(direction(served), abs=1e-5)
    assert summed(ends, 1.0) != pytest.approx(direction(served), abs=1e-3)


def test_halfway_is_the_mean_of_weights_and_leaves_the_network_as_it_is() -> None:
    network = with_two_ends()
    before, second = network.get_weights(), network.get_layer("second_end")
    middle = halfway(network)
    for name in ("bent", "late"):
        pairs = zip(
            network.get_layer(name).get_weights(),
            second.get_layer(name).get_weights(),
            middle.get_layer(name).get_weights(),
            strict=True,
        )
        for published, adapted, mean in pairs:
            assert mean == pytest.approx((published + adapted) / 2, abs=1e-6)
    early = [n.get_layer("early").get_weights()[0] for n in (network, middle)]
    assert np.array_equal(early[0], early[1])
    assert all(map(np.array_equal, before, network.get_weights()))


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras, when it saves
def test_a_bundle_without_a_second_end_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="one end only"):
        two_ended(kept(bundle, one_ended(), tmp_path))
    network = with_two_ends()
    found = two_ended(kept(bundle, network, tmp_path))
    assert all(map(np.array_equal, found.get_weights(), network.get_weights()))


def test_every_face_gets_its_own_views() -> None:
    network = one_ended()
    shown = faces(*(f"celeba-wild/{n}/a.jpg" for n in range(5)))
    found = Trial(shown).embed(to_tflite(network, Precision.FLOAT32), MIRROR, "small")
    expected = np.stack([np.asarray(network(batch(shown, v))) for v in MIRROR], axis=1)
    assert found == pytest.approx(expected, abs=1e-4)


def test_a_row_subtracts_commonness_and_tells_the_uncropped_photos_apart() -> None:
    photos = [
        f"celeba-{kind}/{n}/{p}.jpg" for kind in ("wild", "small") for n in "12" for p in "ab"
    ]
    # Photos of a person agree but for one uncropped photo each, which is like nobody's.
    embeddings = np.eye(4, dtype=np.float32)[[0, 2, 1, 3, 0, 0, 1, 1]]
    trial = Trial(faces(*photos))
    row = trial.row("plain", embeddings, 1.0)
    assert row.uncropped_tar["1e-2"] == 0
    assert row.tar["1e-2"] == pytest.approx(6 / 12)
    # With 2 taken off for each cropped photo, two uncropped strangers are above all its pairs.
    common = np.array([0, 0, 0, 0, 2, 2, 2, 2], np.float32)
    assert trial.row("less commonness", embeddings, 1.0, common).tar["1e-2"] == 0
