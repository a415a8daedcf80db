"""Each photo once through what serves: decode, detect, choose the face, measure, align, embed."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Final

import numpy as np

from app.domain.entities import Face, Floats, Pixels
from app.domain.errors import FacetwinError, ImageTooLargeError, StorageError
from app.domain.quality import assess
from app.domain.training import Monitor
from app.inference.bundle import Bundle
from app.inference.decode import DecodeLimits, Photo
from app.inference.embed import Embedder
from app.inference.pipeline import Pipeline
from app.training.adaptation.faces import MARGIN
from app.training.data.crops import CropCache, recipe_of
from app.training.data.faces import FaceCutter, KnownFace, cut_wide
from app.training.data.photos import TrainingPhoto
from app.training.data.sighting import POLICY, Sighting, sighting_recipe

UNREADABLE: Final = "unreadable"
"""Reason of a file that can't be read from the disk."""


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
        scene_hash: Perceptual hash of the whole photo; None without a face.
        modified_ns: When the file was last written.
        face: Where the face is; None without one.
    """

    photo: TrainingPhoto
    sha256: str
    phash: int | None
    embedding: Floats | None = field(repr=False)
    measures: Mapping[str, float] = field(repr=False)
    reasons: tuple[str, ...]
    faces: int
    scene_hash: int | None = None
    modified_ns: int = 0
    face: KnownFace | None = field(default=None, repr=False)

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
    limits: DecodeLimits | None = None,
) -> list[Examined]:
    """Examine photos, in threads; what the cache holds is not looked at again.

    A face that was found with the same detector, and whose quality was measured on the same
    template, is only embedded anew if the bundle is another. The aligned face, with the margin of
    `finetune`, is left in the cache.

    Args:
        photos: The files.
        bundle: The active one.
        crops: Keeps the results.
        threads: Photos in work at once.
        monitor: Told how far it is; what it raises passes through.
        limits: What is accepted for decoding.

    Raises:
        StorageError: If the cache can't be written, for example because the disk is full.
    """
    examiner = _Examiner(bundle, crops, threads, limits or DecodeLimits())
    results = []
    executor = ThreadPoolExecutor(threads, thread_name_prefix="examine")
    try:
        for result in executor.map(examiner, photos):
            results.append(result)
            monitor.progress(len(results), len(photos), what="photos")
    finally:
        executor.shutdown(cancel_futures=True)
    return results


class _Examiner:
    """Looks at photos; each thread has an engine and an embedder to itself while it does."""

    def __init__(
        self, bundle: Bundle, crops: CropCache, threads: int, limits: DecodeLimits
    ) -> None:
        self._crops = crops
        self._limits = limits
        self._bundle = bundle
        self._pipeline = Pipeline(bundle, engines=threads, limits=limits)
        self._gates = bundle.manifest.gates()
        self._template = bundle.manifest.alignment.template()
        self._cutter = FaceCutter(crops, bundle, limits)
        self._sighting = sighting_recipe(bundle, limits)
        self._embedding = recipe_of(
            "embedding",
            {"fingerprint": bundle.manifest.fingerprint, "sighting": self._sighting},
        )
        self._embedders: SimpleQueue[Embedder] = SimpleQueue()
        for _ in range(threads):
            self._embedders.put(_embedder(bundle))

    def __call__(self, photo: TrainingPhoto) -> Examined:
        """Examine one photo."""
        try:
            data, modified_ns = _read(photo, self._limits.max_bytes)
        except OSError:
            return Examined(photo, "", None, None, {}, (UNREADABLE,), 0)
        if isinstance(data, str):
            return Examined(photo, data, None, None, {}, (ImageTooLargeError.code,), 0)
        sha256 = hashlib.sha256(data).hexdigest()
        sighting, embedding = self._known(photo, sha256) or self._look(sha256, data)
        if sighting.error is not None:
            return Examined(photo, sha256, None, None, {}, (sighting.error,), 0)
        quality = assess(sighting.measures, self._gates)
        return Examined(
            photo,
            sha256,
            sighting.face_hash,
            embedding,
            sighting.measures,
            tuple(reason.code.value for reason in quality.blocking),
            sighting.faces,
            sighting.scene_hash,
            modified_ns,
            KnownFace(photo.path, sha256, sighting.side, sighting.landmarks),
        )

    def _known(self, photo: TrainingPhoto, sha256: str) -> tuple[Sighting, Floats | None] | None:
        """What the cache tells about a photo, with its embedding by this bundle."""
        content = self._crops.read(sha256, self._sighting)
        if content is None:
            return None
        sighting = Sighting.from_bytes(content)
        if sighting.error is not None:
            return sighting, None
        known = self._crops.read(sha256, self._embedding)
        if known is not None:
            return sighting, np.frombuffer(known, np.float32)
        face = KnownFace(photo.path, sha256, sighting.side, sighting.landmarks)
        with self._embedder() as embed:
            embedding = embed(self._chip(face))
        self._crops.write(sha256, self._embedding, embedding.tobytes())
        return sighting, embedding

    def _chip(self, face: KnownFace) -> Pixels:
        """What this bundle embeds of a face that is known."""
        if self._bundle.manifest.alignment.method == "central_crop":
            return self._cutter.central(face, self._template.size)
        wide = self._cutter.wide(face, self._template, MARGIN)
        return np.ascontiguousarray(wide[MARGIN:-MARGIN, MARGIN:-MARGIN])

    def _look(self, sha256: str, data: bytes) -> tuple[Sighting, Floats | None]:
        """Send a photo through the pipeline, and keep what it gave."""
        shown: list[tuple[Photo, Face]] = []
        try:
            found = self._pipeline.analyze(
                data, POLICY, lambda photo, face: shown.append((photo, face))
            )
        except StorageError:
            raise
        except FacetwinError as error:
            sighting = Sighting.failed(error)
            self._crops.write(sha256, self._sighting, sighting.to_bytes())
            return sighting, None
        ((photo, face),) = shown
        sighting = Sighting.of(photo, face, found)
        self._crops.pixels(
            sha256,
            self._cutter.recipe(self._template, MARGIN),
            lambda: cut_wide(photo.pixels, sighting.landmarks, self._template, MARGIN),
        )
        self._crops.write(sha256, self._embedding, found.embedding.tobytes())
        # Last: who finds it finds the others too, unless they were damaged.
        self._crops.write(sha256, self._sighting, sighting.to_bytes())
        return sighting, found.embedding

    @contextmanager
    def _embedder(self) -> Iterator[Callable[[Pixels], Floats]]:
        embedder = self._embedders.get()
        try:
            yield embedder
        finally:
            self._embedders.put(embedder)


def _embedder(bundle: Bundle) -> Embedder:
    section = bundle.manifest.embedding
    commonness = bundle.networks[section.commonness] if section.commonness else None
    return Embedder(bundle.networks[section.network], section, commonness)


def _read(photo: TrainingPhoto, max_bytes: int) -> tuple[bytes | str, int]:
    """The content, or its sha256 alone if it is too large to be looked at; and its time."""
    with photo.path.open("rb") as file:
        status = photo.path.stat()
        if status.st_size > max_bytes:
            return hashlib.file_digest(file, "sha256").hexdigest(), status.st_mtime_ns
        return file.read(max_bytes + 1), status.st_mtime_ns
