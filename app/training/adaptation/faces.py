"""Aligned faces with a margin, detected once and kept, so that every view of them is cheap."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import FacePolicy, Pixels
from app.domain.errors import InvalidRequestError
from app.domain.faces import choose_face
from app.inference.align import AlignmentTemplate, align
from app.inference.decode import DecodeLimits, decode
from app.inference.detect import Detector
from app.training.datasets import LabelledImage

MARGIN: Final = 25
"""Pixels around the aligned face; the largest shift, turn and reduction of a view stay inside."""


@dataclass(frozen=True, slots=True)
class WideFaces:
    """The aligned faces of a set of photos.

    Attributes:
        pixels: Shape (n, side, side, 3), RGB; the side is the template's plus twice `MARGIN`.
        images: The photo of each face.
        identities: Number of each face's identity, from 0 without gaps, shape (n,).
    """

    pixels: Pixels
    images: tuple[LabelledImage, ...]
    identities: NDArray[np.intp]

    def subset(self, keep: NDArray[np.bool_]) -> "WideFaces":
        """The faces where `keep`, shape (n,), is true."""
        images = tuple(image for image, kept in zip(self.images, keep, strict=True) if kept)
        return WideFaces(self.pixels[keep], images, numbered(images))


def numbered(images: Sequence[LabelledImage]) -> NDArray[np.intp]:
    """Identities as numbers from 0 without gaps, shape (n,)."""
    return np.unique([image.identity for image in images], return_inverse=True)[1].astype(np.intp)


def collect(
    images: Sequence[LabelledImage],
    template: AlignmentTemplate,
    detector: Callable[[], Detector],
    *,
    threads: int,
    progress: Callable[[int, int], None],
) -> WideFaces:
    """Find and align the prominent face of each photo; photos that show none are left out.

    Args:
        images: The photos.
        template: Of the bundle that is being built.
        detector: Makes a detector, for one thread each.
        threads: Photos in work at once.
        progress: Called with (done, total).

    Raises:
        InvalidRequestError: If no photo shows a face.
    """
    wide = AlignmentTemplate(template.size + 2 * MARGIN, template.points + np.float32(MARGIN))
    idle: SimpleQueue[Detector] = SimpleQueue()
    for _ in range(threads):
        idle.put(detector())

    def cut(image: LabelledImage) -> Pixels | None:
        own = idle.get()
        try:
            return _prominent(image, wide, own)
        finally:
            idle.put(own)

    faces, found = [], []
    with ThreadPoolExecutor(threads) as executor:
        for number, (image, face) in enumerate(zip(images, executor.map(cut, images), strict=True)):
            progress(number + 1, len(images))
            if face is not None:
                faces.append(face)
                found.append(image)
    if not faces:
        raise InvalidRequestError("None of the photos shows a face.")
    return WideFaces(np.stack(faces), tuple(found), numbered(found))


def _prominent(image: LabelledImage, wide: AlignmentTemplate, detector: Detector) -> Pixels | None:
    pixels = decode(image.path.read_bytes(), DecodeLimits()).pixels
    faces = detector(pixels)
    if not faces:
        return None
    height, width = pixels.shape[:2]
    face = choose_face(faces, FacePolicy.PROMINENT, width, height)
    return align(pixels, face.landmarks.as_array(), wide)
