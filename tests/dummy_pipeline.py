"""A stand-in for the inference pipeline: no model, no pixels, the same answer each time.

A "photo" is a line of text: `face:<person>[:<quality>[:<faces>]][#<anything>]`

- `face:alice` is a good photo of Alice; `face:alice#2` is another one: what follows the `#`
  makes the file, and so the embedding, a little different.
- `<quality>` in 0..1: under 0.3 the photo is blurred (blocking), under 0.6 dark (advisory).
- `<faces>`: how many faces the photo shows; 0 is a photo without a face. Alice is the most
  prominent one.

Bytes that start with `GIF` are an unsupported kind of file, more than `MAX_BYTES` are too large,
anything else is damaged. `normalize` puts `stored:` in front, so a test can tell whether the
stored bytes or the uploaded ones were embedded.
"""

import hashlib
import re
from threading import Lock
from time import perf_counter
from typing import Final

import numpy as np

from app.domain.calibration import BUCKETS, Calibration, OperatingPoint
from app.domain.decisions import Decider
from app.domain.entities import (
    Box,
    Face,
    FacePolicy,
    FaceTemplate,
    Floats,
    Landmarks,
    Quality,
    ReasonCode,
)
from app.domain.errors import (
    ImageTooLargeError,
    InvalidImageError,
    UnsupportedMediaTypeError,
)
from app.domain.faces import choose_face
from app.domain.ports import DetectedFaces
from app.domain.quality import Gate, assess
from app.domain.scoring import L1Head, ScoreName

MAX_BYTES: Final = 100_000
DIMENSIONS: Final = 64
STORED: Final = b"stored:"

_PHOTO = re.compile(
    rb"(?:stored:)?face:(?P<person>\w+)(?::(?P<quality>[\d.]+)(?::(?P<faces>\d+))?)?(?:#.*)?\s*"
)
_GATES = {
    ReasonCode.TOO_BLURRY: Gate(30, blocking=True),
    ReasonCode.TOO_DARK: Gate(60, blocking=False),
}
_STAGES = ("decode", "detect", "align", "embed")


def photo(person: str, variant: object = 0, *, quality: float = 0.9, faces: int = 1) -> bytes:
    """The bytes of a photo of `person`; another `variant` is another photo."""
    return f"face:{person}:{quality}:{faces}#{variant}".encode()


class DummyPipeline:
    """Implements `app.domain.ports.FacePipeline`; counts what it analyzes in `analyzed`."""

    def __init__(
        self,
        *,
        version: str = "dummy-1",
        fingerprint: str = "d" * 64,
        calibration: Calibration | None = None,
    ) -> None:
        self._version = version
        self._fingerprint = fingerprint
        self._lock = Lock()
        self.analyzed = 0
        self._decider = Decider(
            ScoreName.COSINE,
            L1Head(np.ones(DIMENSIONS, np.float32), 5.0),
            "mean",
            calibration or Calibration({name: operating_points() for name in BUCKETS}),
        )

    @property
    def version(self) -> str:
        return self._version

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def decider(self) -> Decider:
        return self._decider

    def analyze(self, data: bytes, policy: FacePolicy) -> FaceTemplate:
        started = perf_counter()
        person, quality, count = _parse(data)
        with self._lock:
            self.analyzed += 1
        face = choose_face([_face(i) for i in range(count)], policy, 640, 480)
        each = (perf_counter() - started) * 1000 / len(_STAGES)
        return FaceTemplate(
            face,
            _quality(quality),
            self._embedding(person, data),
            count,
            dict.fromkeys(_STAGES, each),
        )

    def detect(self, data: bytes) -> DetectedFaces:
        _, quality, count = _parse(data)
        return DetectedFaces(tuple((_face(i), _quality(quality)) for i in range(count)), 640, 480)

    def normalize(self, data: bytes) -> bytes:
        _parse(data)
        return STORED + data.removeprefix(STORED).strip()

    def self_test(self) -> tuple[bool, str]:
        return True, "no golden images in a dummy"

    def _embedding(self, person: str, data: bytes) -> Floats:
        base = _unit_vector(f"{self._fingerprint}:{person}".encode())
        mixed = base + 0.1 * _unit_vector(self._fingerprint.encode() + data)
        return np.asarray(mixed / np.linalg.norm(mixed), np.float32)


def operating_points() -> tuple[OperatingPoint, ...]:
    """Two people are nearly at right angles, two photos of one are nearly parallel."""
    thresholds = {0.1: 0.3, 0.01: 0.4, 0.001: 0.5}
    return tuple(
        OperatingPoint(fmr, threshold, fmr * 0.9, (fmr * 0.5, fmr), 0.01, (0.005, 0.02), 100, 50)
        for fmr, threshold in thresholds.items()
    )


def _parse(data: bytes) -> tuple[str, float, int]:
    if len(data) > MAX_BYTES:
        raise ImageTooLargeError("The image file is too large.", max_bytes=MAX_BYTES)
    if data.startswith(b"GIF"):
        raise UnsupportedMediaTypeError("The file is not JPEG, PNG, WebP or BMP.")
    found = _PHOTO.fullmatch(data)
    if found is None:
        raise InvalidImageError("The image file is damaged and can't be decoded.")
    quality, faces = found["quality"], found["faces"]
    return (
        found["person"].decode(),
        0.9 if quality is None else float(quality),
        1 if faces is None else int(faces),
    )


def _quality(quality: float) -> Quality:
    measures = {"sharpness": quality * 100, "brightness": quality * 100, "detection_score": 0.999}
    return assess(measures, _GATES)


def _face(index: int) -> Face:
    x, y, side = (220.0, 140.0, 200.0) if index == 0 else (10.0 * index, 10.0, 60.0)
    points = Landmarks(
        (x + 0.3 * side, y + 0.4 * side),
        (x + 0.7 * side, y + 0.4 * side),
        (x + 0.5 * side, y + 0.6 * side),
        (x + 0.35 * side, y + 0.8 * side),
        (x + 0.65 * side, y + 0.8 * side),
    )
    return Face(Box(x, y, side, side), points, 0.999)


def _unit_vector(seed: bytes) -> Floats:
    digest = hashlib.sha256(seed).digest()
    vector = np.random.default_rng(list(digest)).standard_normal(DIMENSIONS)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)
