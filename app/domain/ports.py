"""What the services need from inference, so that tests can put a simple stand-in there."""

from dataclasses import dataclass
from typing import Protocol

from app.domain.decisions import Decider
from app.domain.entities import Face, FacePolicy, FaceTemplate, Quality


@dataclass(frozen=True, slots=True)
class DetectedFaces:
    """All faces of one photo, the most prominent first.

    Attributes:
        faces: Each face with its quality.
        width: Pixels of the upright photo.
        height: Pixels of the upright photo.
    """

    faces: tuple[tuple[Face, Quality], ...]
    width: int
    height: int


class FacePipeline(Protocol):
    """A loaded bundle at work. Methods block, compute, and may be called from many threads."""

    @property
    def version(self) -> str:
        """Name of the bundle."""

    @property
    def fingerprint(self) -> str:
        """Hash of weights, detector and preprocessing. Embeddings of two are never compared."""

    @property
    def decider(self) -> Decider:
        """Score, fusion rule and calibration of the bundle."""

    def analyze(self, data: bytes, policy: FacePolicy) -> FaceTemplate:
        """Image file to the embedding of the face that `policy` means.

        Raises:
            ImageTooLargeError, UnsupportedMediaTypeError, InvalidImageError: From decoding.
            NoFaceError, MultipleFacesError: From choosing the face.
        """

    def detect(self, data: bytes) -> DetectedFaces:
        """All faces of an image file; raises what decoding raises."""

    def normalize(self, data: bytes) -> bytes:
        """The photo as an upright JPEG without metadata, as it is stored; raises as decoding."""
