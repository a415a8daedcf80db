import numpy as np
import pytest

from app.domain.errors import BundleError
from app.inference.bundle import Bundle
from app.inference.litert import Network


def image(side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(side).normal(size=(1, side, side, 3)).astype(np.float32)


def test_shapes_alternate_within_a_tight_budget_and_answer_as_alone(bundle: Bundle) -> None:
    model = bundle.networks["pnet.tflite"]
    tight = Network(model, name="pnet", budget=3 * 40 * 40)
    for side in (40, 24, 64, 24, 40):
        alone = Network(model, name="pnet")(image(side))
        for found, expected in zip(tight(image(side)), alone, strict=True):
            assert found.tolist() == expected.tolist()
        kept = sum(prepared.capacity for prepared in tight._prepared.values())
        assert kept <= max(3 * 40 * 40, 3 * side * side)


def test_a_large_interpreter_is_not_kept_for_a_small_shape(bundle: Bundle) -> None:
    network = Network(bundle.networks["pnet.tflite"], name="pnet", budget=3 * 64 * 64)
    network(image(64))
    network(image(24))
    assert [prepared.capacity for prepared in network._prepared.values()] == [3 * 24 * 24]


def test_without_a_budget_one_interpreter_takes_every_shape(bundle: Bundle) -> None:
    network = Network(bundle.networks["pnet.tflite"], name="pnet")
    network(image(40))
    (first,) = network._prepared.values()
    for side in (24, 24, 64):
        network(image(side))
        assert list(network._prepared) == [(1, side, side, 3)]
        assert list(network._prepared.values()) == [first]


def test_a_network_still_answers_after_a_shape_that_does_not_fit(bundle: Bundle) -> None:
    network = Network(bundle.networks["rnet.tflite"], name="rnet")
    before = network(image(24))
    with pytest.raises(BundleError):
        network(image(12))
    for found, expected in zip(network(image(24)), before, strict=True):
        assert found.tolist() == expected.tolist()


def test_outputs_are_copies(bundle: Bundle) -> None:
    network = Network(bundle.networks["pnet.tflite"], name="pnet")
    first = network(image(24))[0]
    before = first.copy()
    network(image(24) + 1)
    assert first.tolist() == before.tolist()


def test_a_shape_that_does_not_fit_is_an_error_of_the_bundle(bundle: Bundle) -> None:
    network = Network(bundle.networks["rnet.tflite"], name="rnet")
    with pytest.raises(BundleError, match="rnet can't run"):
        network(image(12))
