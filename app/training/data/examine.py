"""Each photo once through what serves: decode, detect, choose the face, measure, align, embed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.domain.entities import Floats
from app.domain.training import Monitor
from app.inference.bundle import Bundle
from app.training.data.crops import CropCache
from app.training.data.photos import TrainingPhoto


@dataclass(frozen=True, slots=True)
class Examined:
    """What a photo gave.

    Attributes:
        photo: The file.
        sha256: Of its content; empty if it can't be read.
        phash: Perceptual hash of the aligned face; None without a face.
        embedding: Shape (d,), as `Pipeline.analyze` of the active bundle gives it; None without a
            face.
        measures: Quality measures (see `domain.quality`).
        reasons: Why the photo can't be used, as codes: of errors (`no_face`, `invalid_image`, ...)
            or of blocking quality findings (`TOO_BLURRY`, ...); empty if it can.
        faces: How many faces it shows.
    """

    photo: TrainingPhoto
    sha256: str
    phash: int | None
    embedding: Floats | None = field(repr=False)
    measures: Mapping[str, float] = field(repr=False)
    reasons: tuple[str, ...]
    faces: int

    @property
    def usable(self) -> bool:
        """Whether it can be trained on and tested with."""
        return not self.reasons


def examine(
    photos: Sequence[TrainingPhoto],
    bundle: Bundle,
    crops: CropCache,
    *,
    threads: int,
    monitor: Monitor,
) -> list[Examined]:
    """Examine photos, in threads; what the cache holds is not looked at again.

    Args:
        photos: The files.
        bundle: The active one.
        crops: Keeps the results.
        threads: Photos in work at once.
        monitor: Told how far it is; what it raises passes through.

    Raises:
        StorageError: If the cache can't be written, for example because the disk is full.
    """
    raise NotImplementedError
