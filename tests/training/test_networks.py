"""The networks: what is committed is what the code builds, and the formats are read right."""

import ast
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from app.domain.entities import Floats
from app.domain.errors import BundleError
from app.inference.bundle import Bundle
from app.inference.litert import Network
from app.training import dlib_weights, mtcnn_networks
from app.training.dlib_weights import Convolution, ResNetWeights
from app.training.export import Precision, to_tflite
from app.training.networks import load_resnet29, resnet29


@pytest.fixture(scope="module")
def chips() -> Floats:
    return np.random.default_rng(1).normal(0, 0.25, (2, 150, 150, 3)).astype(np.float32)


def test_the_committed_keras_file_is_the_committed_tflite(bundle: Bundle, chips: Floats) -> None:
    section = bundle.manifest.embedding
    assert section.keras
    model = keras.saving.load_model(bundle.directory / section.keras, safe_mode=True)
    exact = model(chips).numpy()
    serving = Network(bundle.networks[section.network], name="embedding")(chips)[0]
    cosines = (exact * serving).sum(axis=1)
    cosines /= np.linalg.norm(exact, axis=1) * np.linalg.norm(serving, axis=1)
    assert (cosines > 0.999).all()


def test_an_export_in_float32_changes_nothing(chips: Floats) -> None:
    model = resnet29()
    exported = Network(to_tflite(model, Precision.FLOAT32), name="export")
    assert exported(chips)[0] == pytest.approx(model(chips).numpy(), abs=1e-4)


def test_weights_are_put_where_they_belong_and_misfits_are_refused() -> None:
    layers = [x for x in resnet29().layers if isinstance(x, keras.layers.Conv2D)]
    assert len(layers) == 29
    generator = np.random.default_rng(2)
    convolutions = tuple(
        Convolution(
            generator.normal(size=layer.kernel.shape).astype(np.float32),
            generator.normal(size=layer.bias.shape).astype(np.float32),
            layer.strides[0],
        )
        for layer in layers
    )
    projection = generator.normal(size=(256, 128)).astype(np.float32)
    model = load_resnet29(ResNetWeights(convolutions, projection))
    assert model.get_layer("stem").kernel.numpy() == pytest.approx(convolutions[0].kernel)
    last = model.get_layer("stage4_block0_conv2")
    assert last.kernel.numpy() == pytest.approx(convolutions[-1].kernel)
    with pytest.raises(BundleError, match="do not fit"):
        load_resnet29(ResNetWeights(convolutions[::-1], projection))


@pytest.mark.parametrize(
    ("build", "side", "outputs"),
    [
        (mtcnn_networks.pnet, 24, [(1, 7, 7, 4), (1, 7, 7, 2)]),
        (mtcnn_networks.rnet, 24, [(1, 4), (1, 2)]),
        (mtcnn_networks.onet, 48, [(1, 4), (1, 10), (1, 2)]),
    ],
)
def test_the_cascade_has_its_shapes(
    build: Callable[[list[Any]], Any], side: int, outputs: list[tuple[int, ...]]
) -> None:
    with pytest.raises(BundleError) as caught:
        build([])
    shapes = ast.literal_eval(str(caught.value).split("instead of ")[1].rstrip("."))
    weights = [np.zeros(shape, np.float32) for shape in shapes]
    found = build(weights)(np.zeros((1, side, side, 3), np.float32))
    assert [tuple(o.shape) for o in found] == outputs
    assert found[-1].numpy() == pytest.approx(0.5)


def integer(value: int) -> bytes:
    length = max(1, (abs(value).bit_length() + 7) // 8)
    sign = 0x80 if value < 0 else 0
    return bytes([length | sign]) + abs(value).to_bytes(length, "little")


def tensor(values: Floats) -> bytes:
    shape = (values.size, 1, 1, 1)
    data = values.astype("<f4").tobytes()
    return integer(2) + b"".join(integer(n) for n in shape) + data


def serialized(kernel: Floats, bias: Floats, gamma: Floats, beta: Floats) -> bytes:
    """A convolution (out, in, rows, columns) and its affine layer as the file stores them."""
    filters, _, rows, columns = kernel.shape
    ints = b"".join(integer(n) for n in (filters, rows, columns, 2, 2, 0, 0))
    convolution = b"\x05con_4" + tensor(np.concatenate([kernel.ravel(), bias])) + ints
    return convolution + b"\x07affine_" + tensor(np.concatenate([gamma, beta]))


def test_a_convolution_is_read_with_its_affine_layer_folded_in() -> None:
    generator = np.random.default_rng(3)
    kernel = generator.normal(size=(4, 3, 2, 2)).astype(np.float32)
    bias, gamma, beta = generator.normal(size=(3, 4)).astype(np.float32)
    data = b"junk" + serialized(kernel, bias, gamma, beta)
    found = dlib_weights._read_convolution(dlib_weights._Stream(data))
    patch = generator.normal(size=(3, 2, 2)).astype(np.float32)
    expected = ((kernel * patch).sum(axis=(1, 2, 3)) + bias) * gamma + beta
    folded = np.einsum("rcio,irc->o", found.kernel, patch) + found.bias
    assert folded == pytest.approx(expected, abs=1e-5)
    assert found.stride == 2


@pytest.mark.parametrize("value", [0, 1, 127, 255, 256, 4736, 10**7, -1, -300])
def test_integers_of_any_length_and_sign(value: int) -> None:
    assert dlib_weights._Stream(integer(value)).integer() == value


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.dat"
    path.write_bytes(struct.pack("<I", 7))
    with pytest.raises(BundleError, match="not the published file"):
        dlib_weights.read(path)
