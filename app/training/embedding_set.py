"""A labelled image set run through the serving pipeline."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.domain.entities import FacePolicy, FaceTemplate, Floats
from app.domain.errors import FacetwinError, InvalidImageError
from app.domain.ports import FacePipeline
from app.training.datasets import LabelledImage

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class EmbeddingSet:
    """Embeddings of a set of photos, failures included.

    Attributes:
        images: The n photos.
        identities: Number of the identity of each photo, shape (n,).
        embeddings: Shape (n, d); rows of photos without a face are zero.
        found: Whether a face was found, shape (n,).
        usable: Whether a face was found and no blocking quality reason holds, shape (n,).
        measures: Quality measures of each photo; empty where no face was found.
        reasons: Codes of what spoke against each photo.
    """

    images: tuple[LabelledImage, ...]
    identities: NDArray[np.intp]
    embeddings: Floats
    found: NDArray[np.bool_]
    usable: NDArray[np.bool_]
    measures: tuple[dict[str, float], ...]
    reasons: tuple[tuple[str, ...], ...]

    def subset(self, keep: NDArray[np.bool_]) -> "EmbeddingSet":
        """The photos where `keep`, shape (n,), is true."""
        rows = np.flatnonzero(keep)
        return EmbeddingSet(
            tuple(self.images[i] for i in rows),
            self.identities[rows],
            self.embeddings[rows],
            self.found[rows],
            self.usable[rows],
            tuple(self.measures[i] for i in rows),
            tuple(self.reasons[i] for i in rows),
        )

    def replaced(self, rows: NDArray[np.intp], photos: "EmbeddingSet") -> "EmbeddingSet":
        """The set with new results for the photos at `rows`, in that order."""
        if not len(rows):
            return self
        embeddings, found, usable = self.embeddings.copy(), self.found.copy(), self.usable.copy()
        embeddings[rows], found[rows], usable[rows] = photos.embeddings, photos.found, photos.usable
        measures, reasons = list(self.measures), list(self.reasons)
        for row, measure, reason in zip(rows, photos.measures, photos.reasons, strict=True):
            measures[row], reasons[row] = measure, reason
        return replace(
            self,
            embeddings=embeddings,
            found=found,
            usable=usable,
            measures=tuple(measures),
            reasons=tuple(reasons),
        )

    def renumbered(self) -> "EmbeddingSet":
        """The same photos with identities numbered from 0 without gaps."""
        _numbers, identities = np.unique(self.identities, return_inverse=True)
        return replace(self, identities=identities.astype(np.intp))


def embed_all(
    pipeline: FacePipeline,
    images: Sequence[LabelledImage],
    *,
    threads: int,
    policy: FacePolicy = FacePolicy.PROMINENT,
    progress: Progress | None = None,
) -> EmbeddingSet:
    """Run every photo through `pipeline.analyze`, exactly as the service does.

    A file that can't be read counts as an invalid image.

    Args:
        pipeline: What to run.
        images: The photos, in the order of the result.
        threads: Photos in work at once.
        policy: Which face of a photo is meant.
        progress: Called with (done, total) after each photo.
    """

    def analyze(image: LabelledImage) -> FaceTemplate | str:
        try:
            return try_photo(pipeline, image.path.read_bytes(), policy)
        except OSError:
            return InvalidImageError.code

    results: list[FaceTemplate | str] = []
    with ThreadPoolExecutor(threads) as executor:
        for result in executor.map(analyze, images):
            results.append(result)
            if progress:
                progress(len(results), len(images))
    return collect(images, results)


def try_photo(pipeline: FacePipeline, data: bytes, policy: FacePolicy) -> FaceTemplate | str:
    """The face of a photo, or the code of what spoke against it."""
    try:
        return pipeline.analyze(data, policy)
    except FacetwinError as error:
        return error.code


def collect(images: Sequence[LabelledImage], results: Sequence[FaceTemplate | str]) -> EmbeddingSet:
    """The set of photos and what `try_photo` gave for each; identities are numbered from 0."""
    templates = [r if isinstance(r, FaceTemplate) else None for r in results]
    dimension = next((len(t.embedding) for t in templates if t), 0)
    missing = np.zeros(dimension, np.float32)
    _names, identities = np.unique([i.identity for i in images], return_inverse=True)
    return EmbeddingSet(
        images=tuple(images),
        identities=identities.astype(np.intp),
        embeddings=np.array([t.embedding if t else missing for t in templates], np.float32).reshape(
            len(images), dimension
        ),
        found=np.array([t is not None for t in templates], np.bool_),
        usable=np.array([t is not None and not t.quality.blocking for t in templates], np.bool_),
        measures=tuple(dict(t.quality.measures) if t else {} for t in templates),
        reasons=tuple(
            tuple(reason.code.value for reason in r.quality.blocking)
            if isinstance(r, FaceTemplate)
            else (r,)
            for r in results
        ),
    )
