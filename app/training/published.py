"""Networks in the forms that a bundle needs, and the published ones in these forms."""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from app.inference.detect import Detector, DetectorSettings
from app.training import dlib_weights, mtcnn_networks, networks
from app.training.export import Precision, to_tflite
from app.training.keras_file import packed_keras

RESNET29_DIMENSION: Final = 128
DETECTOR: Final = DetectorSettings(mirrored_look=True)


@dataclass(frozen=True, slots=True)
class ExportedNetworks:
    """The networks of a bundle.

    Attributes:
        proposal, refinement, output: The detector's, as .tflite.
        embeddings: As .tflite in several precisions.
        keras: The embedding as a Keras file, for training.
        commonness: As .tflite, if the bundle has one.
    """

    proposal: bytes
    refinement: bytes
    output: bytes
    embeddings: dict[Precision, bytes]
    keras: bytes
    commonness: bytes | None = None

    @property
    def dimension(self) -> int:
        """Numbers of an embedding, the commonness included."""
        return RESNET29_DIMENSION + (self.commonness is not None)

    def detector(self) -> Detector:
        """The cascade as the bundle will run it."""
        return Detector(self.proposal, self.refinement, self.output, DETECTOR)

    def with_embedding(self, model: Any) -> "ExportedNetworks":
        """The same cascade with another embedding network, whose weights are rounded in place."""
        _round(model)
        return replace(self, embeddings=_in_precisions(model), keras=packed_keras(model))


def export_published() -> ExportedNetworks:
    """Convert the networks that the installed packages carry.

    Raises:
        BundleError: If a package is missing or a file is not the published one.
    """
    cascade = {
        name: to_tflite(build(mtcnn_networks.read_weights(name)), Precision.FLOAT32)
        for name, build in (
            ("pnet", mtcnn_networks.pnet),
            ("rnet", mtcnn_networks.rnet),
            ("onet", mtcnn_networks.onet),
        )
    }
    model = published_embedding()
    _round(model)
    return ExportedNetworks(
        cascade["pnet"],
        cascade["rnet"],
        cascade["onet"],
        _in_precisions(model),
        packed_keras(model),
    )


def published_embedding() -> Any:
    """The embedding network with its published weights.

    Raises:
        BundleError: If the package is missing or its file is not the published one.
    """
    return networks.load_resnet29(dlib_weights.read(dlib_weights.locate()))


def _in_precisions(model: Any) -> dict[Precision, bytes]:
    return {p: to_tflite(model, p) for p in (Precision.FLOAT16, Precision.INT8)}


def _round(model: Any) -> None:
    """Round the weights to half precision, in place, so that the Keras file packs to half."""
    model.set_weights([w.astype(np.float16).astype(np.float32) for w in model.get_weights()])
