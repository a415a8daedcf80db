"""What looking at a photo once has told about it, as it is kept in the cache."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from app.domain.entities import Face, FacePolicy, FaceTemplate, Floats
from app.domain.errors import FacetwinError
from app.inference.bundle import Bundle
from app.inference.decode import SEARCH_SIDE, WORKING_SIDE, DecodeLimits, Photo
from app.training.data.crops import recipe_of
from app.training.data.hashes import face_hash, scene_hash

POLICY = FacePolicy.PROMINENT
"""Whose face a training photo shows."""

_LAYOUT = 1
"""To be raised when what is kept, or how it is computed, changes."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """The face that was chosen on a photo; or the code of the error in its place.

    Attributes:
        error: Code of why there is no face to look at; the rest is then meaningless.
        side: What the photo was decoded to (see `app.inference.decode`).
        landmarks: Shape (5, 2), in pixels of the photo decoded to `side`.
        measures: Of the quality.
        faces: How many the photo shows.
        face_hash: Of the aligned face.
        scene_hash: Of the whole photo.
    """

    error: str | None
    side: int
    landmarks: Floats
    measures: Mapping[str, float]
    faces: int
    face_hash: int
    scene_hash: int

    @classmethod
    def failed(cls, error: FacetwinError) -> Self:
        """There is nothing to see."""
        return cls(error.code, 0, np.zeros((5, 2), np.float32), {}, 0, 0, 0)

    @classmethod
    def of(cls, photo: Photo, face: Face, found: FaceTemplate) -> Self:
        """A face as the pipeline met it: `photo` and `face` are what its witness was shown."""
        points = face.landmarks.as_array()
        side = WORKING_SIDE if max(photo.pixels.shape[:2]) <= WORKING_SIDE else SEARCH_SIDE
        return cls(
            None,
            side,
            points,
            dict(found.quality.measures),
            found.faces,
            face_hash(photo.pixels, points),
            scene_hash(photo.pixels),
        )

    def to_bytes(self) -> bytes:
        """For the cache."""
        document = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps(document | {"landmarks": self.landmarks.tolist()}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` wrote."""
        document = json.loads(data)
        return cls(**document | {"landmarks": np.array(document["landmarks"], np.float32)})


def sighting_recipe(bundle: Bundle, limits: DecodeLimits) -> str:
    """All that a sighting depends on: detector, alignment that quality is of, and limits."""
    measured = bundle.manifest.measured_alignment()
    alignment = measured.model_dump(mode="json", include={"size", "points"})
    parts = {
        "layout": _LAYOUT,
        "detector": detector_parts(bundle),
        "alignment": alignment,
        "limits": [limits.max_bytes, limits.max_pixels],
    }
    return recipe_of("sighting", parts)


def detector_parts(bundle: Bundle) -> dict[str, Any]:
    """What the landmarks of a photo depend on."""
    section = bundle.manifest.detector
    networks = (section.proposal, section.refinement, section.output)
    return section.model_dump(mode="json") | {
        "files": [bundle.manifest.files[name].sha256 for name in networks],
        "policy": POLICY.value,
    }
