"""The way of a photo: decode, detect, choose the face, align, measure, embed. No step is repeated.

Training, enrolment, verification and evaluation all go this way.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from queue import LifoQueue
from time import perf_counter

import cv2
import numpy as np

from app.domain.decisions import Decider
from app.domain.entities import (
    Box,
    Face,
    FacePolicy,
    FaceTemplate,
    Landmarks,
    Pixels,
    Quality,
)
from app.domain.errors import FacetwinError, InvalidImageError
from app.domain.faces import choose_face
from app.domain.ports import DetectedFaces
from app.domain.quality import assess
from app.inference.align import align, central_crop
from app.inference.bundle import Bundle
from app.inference.decode import SEARCH_SIDE, DecodeLimits, Photo, decode
from app.inference.detect import Detector
from app.inference.embed import Embedder
from app.inference.golden import Agreement
from app.inference.heap import share_heaps
from app.inference.measure import measure

_STORED_JPEG_QUALITY = 95

Witness = Callable[[Photo, Face], None]
"""Shown the photo as it is worked on, and the chosen face in its pixels."""


class _Engine:
    """The interpreters of one bundle, for one thread at a time."""

    def __init__(self, bundle: Bundle) -> None:
        section = bundle.manifest.detector
        names = (section.proposal, section.refinement, section.output)
        proposal, refinement, output = (bundle.networks[name] for name in names)
        self.detect = Detector(proposal, refinement, output, section.settings())
        embedding = bundle.manifest.embedding
        commonness = bundle.networks[embedding.commonness] if embedding.commonness else None
        self.embed = Embedder(bundle.networks[embedding.network], embedding, commonness)


class Pipeline:
    """A bundle at work; implements `domain.ports.FacePipeline`.

    Args:
        bundle: What to run.
        engines: How many photos can be in work at once; further callers wait.
        limits: What is accepted for decoding.
        timer: Tells the seconds of `timing_ms`; a benchmark counts those of the processor.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        engines: int,
        limits: DecodeLimits,
        timer: Callable[[], float] = perf_counter,
    ) -> None:
        # The pool scales by whole photos; threads inside OpenCV would only fight it.
        cv2.setNumThreads(1)
        share_heaps()
        self._bundle = bundle
        self._limits = limits
        self._timer = timer
        self._decider = bundle.manifest.decider(bundle.calibration)
        self._template = bundle.manifest.alignment.template()
        self._measured = bundle.manifest.measured_alignment().template()
        self._embeds_measured = bundle.manifest.quality_alignment is None
        self._embeds_middle = bundle.manifest.alignment.method == "central_crop"
        self._gates = bundle.manifest.gates()
        self._engines: LifoQueue[_Engine] = LifoQueue()
        self._count = engines
        for _ in range(engines):
            self._engines.put(_Engine(bundle))

    @property
    def version(self) -> str:
        """Name of the bundle."""
        return self._bundle.manifest.version

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the bundle."""
        return self._bundle.manifest.fingerprint

    @property
    def decider(self) -> Decider:
        """Score, fusion rule and calibration of the bundle."""
        return self._decider

    def analyze(
        self, data: bytes, policy: FacePolicy, witness: Witness | None = None
    ) -> FaceTemplate:
        """Image file to the embedding of the face that `policy` means; raises as the port says.

        Args:
            data: The file.
            policy: Which of several faces is meant.
            witness: For whom needs more of the photo than the port tells, as training does.
        """
        clock = _Clock(self._timer)
        photo = decode(data, self._limits)
        clock.lap("decode")
        with self._engine() as engine:
            photo, found = self._search(data, photo, engine)
            clock.lap("detect")
            return self._template_of(photo, found, policy, engine, clock, witness=witness)

    def detect(self, data: bytes) -> DetectedFaces:
        """All faces of an image file, the most prominent first."""
        photo = decode(data, self._limits)
        with self._engine() as engine:
            photo, found = self._search(data, photo, engine)
        height, width = photo.pixels.shape[:2]
        ordered: list[tuple[Face, Quality]] = []
        remaining = list(found)
        while remaining:
            face = choose_face(remaining, FacePolicy.PROMINENT, width, height)
            remaining.remove(face)
            chip = align(photo.pixels, face.landmarks.as_array(), self._measured)
            ordered.append((_scaled(face, photo.scale), self._assess(photo, chip, face, found)))
        return DetectedFaces(tuple(ordered), photo.width, photo.height)

    def normalize(self, data: bytes) -> bytes:
        """The photo as an upright JPEG without metadata, at most `WORKING_SIDE` pixels long."""
        photo = decode(data, self._limits)
        bgr = cv2.cvtColor(photo.pixels, cv2.COLOR_RGB2BGR)
        done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _STORED_JPEG_QUALITY])
        if not done:
            raise InvalidImageError("The photo can't be stored as a JPEG file.")
        return encoded.tobytes()

    def self_test(self) -> tuple[bool, str]:
        """Run the golden images on every engine, which also warms them up.

        Returns:
            Whether all gave the stored embedding, and a sentence about it.
        """
        if not self._bundle.golden:
            return False, "the bundle has no golden images"
        worst = Agreement(1.0, None)
        commonness = self._bundle.manifest.embedding.commonness is not None
        with ExitStack() as held:
            for engine in [held.enter_context(self._engine()) for _ in range(self._count)]:
                for image, expected in self._bundle.golden:
                    try:
                        photo = decode(image, self._limits)
                        faces = engine.detect(photo.pixels)
                        found = self._template_of(
                            photo, faces, FacePolicy.PROMINENT, engine, _Clock(self._timer)
                        )
                    except FacetwinError as error:
                        return False, f"a golden image failed: {error.message}"
                    stored = np.array(expected, np.float32)
                    agreement = Agreement.of(found.embedding, stored, commonness=commonness)
                    worst = worst.worse(agreement)
        return worst.passed, str(worst)

    def _search(self, data: bytes, photo: Photo, engine: _Engine) -> tuple[Photo, list[Face]]:
        """Faces on the photo; a reduced photo that shows none is looked at again, larger.

        Returns:
            The photo on which they were found, and the faces.
        """
        found = engine.detect(photo.pixels)
        if not found and photo.scale > 1:
            photo = decode(data, self._limits, SEARCH_SIDE)
            found = engine.detect(photo.pixels)
        return photo, found

    def _template_of(
        self,
        photo: Photo,
        found: Sequence[Face],
        policy: FacePolicy,
        engine: _Engine,
        clock: "_Clock",
        *,
        witness: Witness | None = None,
    ) -> FaceTemplate:
        height, width = photo.pixels.shape[:2]
        face = choose_face(found, policy, width, height)
        if witness:
            witness(photo, face)
        chip = align(photo.pixels, face.landmarks.as_array(), self._measured)
        quality = self._assess(photo, chip, face, found)
        if self._embeds_middle:
            chip = central_crop(photo.pixels, self._template.size)
        elif not self._embeds_measured:
            chip = align(photo.pixels, face.landmarks.as_array(), self._template)
        clock.lap("align")
        embedding = engine.embed(chip)
        clock.lap("embed")
        return FaceTemplate(
            _scaled(face, photo.scale), quality, embedding, len(found), clock.milliseconds
        )

    def _assess(self, photo: Photo, chip: Pixels, face: Face, found: Sequence[Face]) -> Quality:
        measures = measure(photo.pixels, chip, face, self._measured)
        others = [other.box.area for other in found if other is not face]
        measures["other_face"] = max(others, default=0.0) / max(face.box.area, 1.0)
        return assess(measures, self._gates)

    @contextmanager
    def _engine(self) -> Iterator[_Engine]:
        engine = self._engines.get()
        try:
            yield engine
        finally:
            self._engines.put(engine)


class _Clock:
    def __init__(self, timer: Callable[[], float]) -> None:
        self.milliseconds: dict[str, float] = {}
        self._timer = timer
        self._last = timer()

    def lap(self, stage: str) -> None:
        now = self._timer()
        self.milliseconds[stage] = (now - self._last) * 1000
        self._last = now


def _scaled(face: Face, scale: float) -> Face:
    """A face of the working photo in pixels of the original."""
    if scale == 1:
        return face
    points = [(x * scale, y * scale) for x, y in face.landmarks.as_array().tolist()]
    box = face.box
    return replace(
        face,
        box=Box(box.x * scale, box.y * scale, box.width * scale, box.height * scale),
        landmarks=Landmarks(*points),
    )
