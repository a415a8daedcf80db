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
        kept = sum(np.prod(shape) for shape in tight._prepared)
        assert kept <= max(3 * 40 * 40, 3 * side * side)


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
