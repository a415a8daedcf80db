"""What the services need from inference, so that tests can put a simple stand-in there."""

from dataclasses import dataclass
from typing import Protocol

from app.domain.calibration import Calibration
from app.domain.decisions import Decider
from app.domain.entities import Face, FacePolicy, FaceTemplate, Quality
from app.domain.models import BundleDescription, BundleSummary


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


class LoadedPipeline(FacePipeline, Protocol):
    """A pipeline that can say whether its bundle computes here what it computed at home."""

    def self_test(self) -> tuple[bool, str]:
        """Whether the golden images gave the stored embeddings, and a sentence about it."""


class Bundles(Protocol):
    """The bundles that are there, and the pointer to the one that shall serve."""

    def pointer(self) -> str | None:
        """What the pointer says, be it a bundle or not; None if it can't be read."""

    def point_to(self, version: str) -> None:
        """Set the pointer durably, in one step.

        Raises:
            StorageError: If that can't be done; then it is as it was.
        """

    def versions(self) -> list[str]:
        """Names of the bundles, in alphabetical order."""

    def load(self, version: str) -> LoadedPipeline:
        """Check and load a bundle, which is not deleted as long as the pipeline lives.

        Raises:
            ModelNotFoundError: If there is none.
            BundleError: If it is damaged or not understood.
        """

    def calibration(self, version: str) -> Calibration:
        """What a bundle prices; nothing else of it is loaded.

        Raises:
            ModelNotFoundError: If there is none.
            BundleError: If its manifest or calibration is damaged.
        """

    def summaries(self) -> list[BundleSummary]:
        """What is known of each bundle without loading it; a damaged one has a problem."""

    def describe(self, version: str) -> BundleDescription:
        """All that a bundle says about itself.

        Raises:
            ModelNotFoundError: If there is none.
            BundleError: If its manifest is damaged.
        """
