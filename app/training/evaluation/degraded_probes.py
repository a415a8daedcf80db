"""Probes degraded in every way, each run through the serving pipeline."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from app.domain.entities import FacePolicy, FaceTemplate
from app.domain.ports import FacePipeline
from app.training.datasets import LabelledImage
from app.training.embedding_set import EmbeddingSet, collect, try_photo
from app.training.evaluation.degrade import DEGRADATIONS, Degradation, Portrait

Result = FaceTemplate | str


def degrade_all(
    pipeline: FacePipeline,
    clean: EmbeddingSet,
    probes: int,
    *,
    policy: FacePolicy,
    seed: int,
    threads: int,
    progress: Callable[[int, int], None],
    ways: Sequence[Degradation] = DEGRADATIONS,
) -> list[EmbeddingSet]:
    """Degrade the first `probes` photos of `clean` in each way, and embed what comes out.

    Args:
        pipeline: The bundle at work.
        clean: The photos as they are; those that can't be used are not degraded.
        probes: How many.
        policy: Which face of a photo is meant.
        seed: Of noise.
        threads: Photos in work at once.
        progress: Called with (done, total) after each probe.
        ways: Of degrading.

    Returns:
        For each of `ways`, the degraded probes in their order.
    """

    def degraded(row: int) -> list[Result]:
        if not clean.usable[row]:
            return [clean.reasons[row][0]] * len(ways)
        return _degrade(pipeline, clean.images[row], policy, seed, ways)

    results: list[list[Result]] = []
    with ThreadPoolExecutor(threads) as executor:
        for result in executor.map(degraded, range(probes)):
            results.append(result)
            progress(len(results), probes)
    return [_filled(clean, way) for way in zip(*results, strict=True)]


def _degrade(
    pipeline: FacePipeline,
    image: LabelledImage,
    policy: FacePolicy,
    seed: int,
    ways: Sequence[Degradation],
) -> list[Result]:
    data = image.path.read_bytes()
    portrait = Portrait.of(data, pipeline.analyze(data, policy).face)
    return [try_photo(pipeline, d.apply(data, portrait, seed), policy) for d in ways]


def _filled(clean: EmbeddingSet, results: tuple[Result, ...]) -> EmbeddingSet:
    """The results as a set; where every probe failed, with embeddings of the right length."""
    photos = collect(clean.images[: len(results)], results)
    if photos.found.any():
        return photos
    nothing = np.zeros((len(results), clean.embeddings.shape[1]), np.float32)
    return replace(photos, embeddings=nothing)
