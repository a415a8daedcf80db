"""The published networks in the forms that a bundle needs."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from app.inference.detect import Detector, DetectorSettings
from app.training import dlib_weights, mtcnn_networks, networks
from app.training.export import Precision, to_tflite


@dataclass(frozen=True, slots=True)
class PublishedNetworks:
    """Detector and embedding as .tflite, and the embedding as a Keras file for training."""

    proposal: bytes
    refinement: bytes
    output: bytes
    embeddings: dict[Precision, bytes]
    keras: bytes

    def detector(self) -> Detector:
        """The cascade with default settings."""
        return Detector(self.proposal, self.refinement, self.output, DetectorSettings())


def export_published() -> PublishedNetworks:
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
    model = networks.load_resnet29(dlib_weights.read(dlib_weights.locate()))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "embedding.keras"
        model.save(path)
        keras = path.read_bytes()
    embeddings = {p: to_tflite(model, p) for p in (Precision.FLOAT16, Precision.INT8)}
    return PublishedNetworks(cascade["pnet"], cascade["rnet"], cascade["onet"], embeddings, keras)
