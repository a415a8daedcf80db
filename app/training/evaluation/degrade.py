"""Ways in which a photo of a face gets worse, for measuring what they cost.

Lengths are relative to the distance between the eyes, so that a degradation means the same on a
large and on a small face. Files are PNG but for the JPEG case, so that nothing else is lost.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from app.domain.entities import Face, Floats, Pixels
from app.domain.errors import InvalidImageError
from app.inference.decode import DecodeLimits, decode

JPEG_QUALITY: Final = 20
BLUR_SIGMA: Final = 0.05
"""Of the Gaussian, in distances between the eyes."""
LOW_LIGHT: Final = 1 / 8
"""Share of the light that is left: three stops."""
FULL_WELL: Final = 1000.0
"""Photons behind a white pixel of the undimmed photo."""
GAMMA: Final = 2.2
NOISE_SIGMA: Final = 20.0
"""Standard deviation per pixel and channel, of 255."""
FACE_PIXELS: Final = 60.0
"""Width of the face's box after the reduction."""
DEGREES: Final = 30.0
MASK_COLOUR: Final = (170, 190, 205)
BAR_COLOUR: Final = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Portrait:
    """A decoded photo and the face that the pipeline found on it.

    Attributes:
        pixels: Shape (h, w, 3), RGB.
        landmarks: Shape (5, 2), in pixels, in the order of `domain.entities.Landmarks`.
        face_width: Of the face's box, in pixels.
    """

    pixels: Pixels
    landmarks: Floats
    face_width: float

    @classmethod
    def of(cls, data: bytes, face: Face) -> "Portrait":
        """Decode a photo as the pipeline does; `face` is in pixels of the original."""
        photo = decode(data, DecodeLimits())
        return cls(
            photo.pixels,
            face.landmarks.as_array() / np.float32(photo.scale),
            face.box.width / photo.scale,
        )

    @property
    def eye_distance(self) -> float:
        """Pixels between the eyes."""
        return float(np.linalg.norm(self.landmarks[1] - self.landmarks[0]))


Change = Callable[[Portrait, np.random.Generator], Portrait]


@dataclass(frozen=True, slots=True)
class Degradation:
    """A way to make a photo worse.

    Attributes:
        name: Stable name, for machines.
        description: What it does, for people.
        change: Gives the worse photo and where its face lies now.
        jpeg_quality: Of the file; None stores without loss.
    """

    name: str
    description: str
    change: Change
    jpeg_quality: int | None = None

    def apply(self, data: bytes, portrait: Portrait, seed: int) -> bytes:
        """The degraded photo as a file: the same one for the same photo and seed.

        Args:
            data: The file that `portrait` was decoded from.
            portrait: The photo.
            seed: Of noise.
        """
        digest = hashlib.sha256(self.name.encode() + data).digest()
        generator = np.random.default_rng([seed, *digest])
        return _encode(self.change(portrait, generator).pixels, self.jpeg_quality)


def _unchanged(portrait: Portrait, _generator: np.random.Generator) -> Portrait:
    return portrait


def blurred(portrait: Portrait, _generator: np.random.Generator) -> Portrait:
    """Gaussian blur of `BLUR_SIGMA` distances between the eyes."""
    sigma = max(BLUR_SIGMA * portrait.eye_distance, 0.1)
    return _with(portrait, cv2.GaussianBlur(portrait.pixels, (0, 0), sigma))


def in_low_light(portrait: Portrait, generator: np.random.Generator) -> Portrait:
    """`LOW_LIGHT` of the light in linear intensities, with the shot noise of so few photons."""
    linear = (portrait.pixels / 255.0) ** GAMMA
    photons = generator.poisson(linear * LOW_LIGHT * FULL_WELL)
    return _with(portrait, 255 * np.clip(photons / FULL_WELL, 0, 1) ** (1 / GAMMA))


def noisy(portrait: Portrait, generator: np.random.Generator) -> Portrait:
    """Gaussian noise of `NOISE_SIGMA` on every channel."""
    noise = generator.normal(0, NOISE_SIGMA, portrait.pixels.shape)
    return _with(portrait, portrait.pixels + noise)


def reduced(portrait: Portrait, _generator: np.random.Generator) -> Portrait:
    """The whole photo reduced until the face's box is `FACE_PIXELS` wide; never enlarged."""
    factor = min(1.0, FACE_PIXELS / portrait.face_width)
    height, width = portrait.pixels.shape[:2]
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    pixels = cv2.resize(portrait.pixels, size, interpolation=cv2.INTER_AREA)
    scale = np.array([size[0] / width, size[1] / height], np.float32)
    return Portrait(
        pixels.astype(np.uint8, copy=False),
        portrait.landmarks * scale,
        portrait.face_width * float(scale[0]),
    )


def turned(degrees: float) -> Change:
    """Turn clockwise about the middle of the face, as the viewer sees it; the size stays.

    What the turn brings in from beyond the edge repeats the edge.
    """

    def change(portrait: Portrait, _generator: np.random.Generator) -> Portrait:
        x, y = portrait.landmarks.mean(axis=0).tolist()
        matrix = cv2.getRotationMatrix2D((x, y), -degrees, 1.0)
        height, width = portrait.pixels.shape[:2]
        pixels = cv2.warpAffine(
            portrait.pixels, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE
        )
        points = portrait.landmarks @ matrix[:, :2].T + matrix[:, 2]
        return replace(_with(portrait, pixels), landmarks=np.asarray(points, np.float32))

    return change


def masked(portrait: Portrait, _generator: np.random.Generator) -> Portrait:
    """A plain mask from just below the nose to below the chin, from ear to ear."""
    centre = portrait.landmarks[2]
    return _covered(portrait, centre, (-1.2, 1.2), (0.15, 1.6), MASK_COLOUR)


def barred(portrait: Portrait, _generator: np.random.Generator) -> Portrait:
    """A black bar over both eyes."""
    centre = portrait.landmarks[:2].mean(axis=0)
    return _covered(portrait, centre, (-1.0, 1.0), (-0.25, 0.25), BAR_COLOUR)


DEGRADATIONS: Final = (
    Degradation("jpeg_20", f"JPEG of quality {JPEG_QUALITY}", _unchanged, JPEG_QUALITY),
    Degradation("blur", f"Gaussian blur, sigma {BLUR_SIGMA:g} of the eye distance", blurred),
    Degradation("low_light", "an eighth of the light, with shot noise", in_low_light),
    Degradation("noise", f"Gaussian noise, sigma {NOISE_SIGMA:g} of 255", noisy),
    Degradation("face_60px", f"photo reduced to a face {FACE_PIXELS:g} pixels wide", reduced),
    Degradation("turn_clockwise", f"turned by {DEGREES:g} degrees clockwise", turned(DEGREES)),
    Degradation(
        "turn_counterclockwise",
        f"turned by {DEGREES:g} degrees counterclockwise",
        turned(-DEGREES),
    ),
    Degradation("lower_face_covered", "plain mask below the nose", masked),
    Degradation("eyes_covered", "black bar over the eyes", barred),
)


def _with(portrait: Portrait, pixels: "cv2.typing.MatLike") -> Portrait:
    rounded = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return replace(portrait, pixels=rounded)


def _covered(
    portrait: Portrait,
    centre: Floats,
    across: tuple[float, float],
    down: tuple[float, float],
    colour: tuple[int, int, int],
) -> Portrait:
    """A filled rectangle along the line of the eyes, in eye distances from `centre`."""
    right = portrait.landmarks[1] - portrait.landmarks[0]
    below = np.array([-right[1], right[0]], np.float32)
    corners = [
        centre + x * right + y * below
        for x, y in (
            (across[0], down[0]),
            (across[1], down[0]),
            (across[1], down[1]),
            (across[0], down[1]),
        )
    ]
    pixels = portrait.pixels.copy()
    cv2.fillConvexPoly(pixels, np.rint(corners).astype(np.int32), colour)
    return replace(portrait, pixels=pixels)


def _encode(pixels: Pixels, jpeg_quality: int | None) -> bytes:
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    if jpeg_quality is None:
        done, encoded = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    else:
        done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])
    if not done:
        raise InvalidImageError("The degraded photo can't be stored.")
    return encoded.tobytes()
