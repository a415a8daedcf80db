"""Faces of photos that were examined, cut out for any template without detecting again."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.domain.entities import Floats, Pixels
from app.domain.errors import TrainingDataError
from app.inference.align import AlignmentTemplate, align, central_crop
from app.inference.bundle import Bundle
from app.inference.decode import WORKING_SIDE, DecodeLimits, decode
from app.training.data.crops import CropCache, recipe_of
from app.training.data.sighting import detector_parts


@dataclass(frozen=True, slots=True)
class KnownFace:
    """Where on which photo a face is.

    Attributes:
        path: The photo.
        sha256: Of its content.
        side: What it was decoded to.
        landmarks: Shape (5, 2), in pixels of the photo decoded to `side`.
    """

    path: Path
    sha256: str
    side: int
    landmarks: Floats


class FaceCutter:
    """Gives crops from the cache, or makes them; safe to use from many threads.

    Args:
        crops: The cache.
        bundle: Whose detector found the landmarks.
        limits: What is accepted for decoding.
    """

    def __init__(self, crops: CropCache, bundle: Bundle, limits: DecodeLimits) -> None:
        self._crops = crops
        self._detector = detector_parts(bundle)
        self._limits = limits

    def wide(self, face: KnownFace, template: AlignmentTemplate, margin: int) -> Pixels:
        """The aligned face with a margin; its middle is exactly what serving would embed.

        Raises:
            TrainingDataError: If the photo is needed and gone, or not what it was.
            StorageError: If the cache can't be written.
        """
        recipe = self.recipe(template, margin)
        return self._crops.pixels(
            face.sha256,
            recipe,
            lambda: cut_wide(self._pixels(face), face.landmarks, template, margin),
        )

    def central(self, face: KnownFace, size: int) -> Pixels:
        """The photo's middle, as a bundle that aligns nothing embeds it; raises as `wide`."""
        recipe = recipe_of("central", {"size": size, "large": face.side != WORKING_SIDE})
        return self._crops.pixels(
            face.sha256, recipe, lambda: central_crop(self._pixels(face), size)
        )

    def recipe(self, template: AlignmentTemplate, margin: int) -> str:
        """All that a wide crop depends on beside the photo."""
        points = [[float(x), float(y)] for x, y in template.points]
        parts = {"size": template.size, "points": points, "margin": margin}
        return recipe_of("wide", {"detector": self._detector, **parts})

    def _pixels(self, face: KnownFace) -> Pixels:
        try:
            data = face.path.read_bytes()
        except OSError as error:
            raise _changed(f"{face.path} can't be read any more: {error.strerror}.") from error
        if hashlib.sha256(data).hexdigest() != face.sha256:
            raise _changed(f"{face.path} was changed while it was trained on.")
        return decode(data, self._limits, face.side).pixels


def cut_wide(pixels: Pixels, landmarks: Floats, template: AlignmentTemplate, margin: int) -> Pixels:
    """A face aligned to `template`, with `margin` more pixels on each side.

    Its middle is put there from a crop without a margin: a warp rounds its coordinates, so the
    middle of the wide one could differ in places, by a gray level or two.
    """
    face = align(pixels, landmarks, template)
    if not margin:
        return face
    points = (template.points + np.float32(margin)).astype(np.float32)
    wide = align(pixels, landmarks, AlignmentTemplate(template.size + 2 * margin, points))
    wide[margin:-margin, margin:-margin] = face
    return wide


def _changed(message: str) -> TrainingDataError:
    message += " Start the training again."
    return TrainingDataError.of([{"code": "photo_changed", "message": message}])
