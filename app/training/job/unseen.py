"""Unseen photos as both bundles embed them, from the faces that the data check cut out."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue

import numpy as np

from app.domain.entities import Floats, Pixels
from app.domain.training import Monitor
from app.inference.bundle import Bundle
from app.inference.embed import Embedder
from app.training.acceptance.sample import Sample
from app.training.adaptation.faces import MARGIN
from app.training.data.dataset import Dataset
from app.training.data.examine import Examined
from app.training.embedding_set import EmbeddingSet


def embed_unseen(
    sample: Sample,
    dataset: Dataset,
    examined: Sequence[Examined],
    bundle: Bundle,
    *,
    threads: int,
    monitor: Monitor,
) -> EmbeddingSet:
    """The photos as a bundle embeds them that keeps the detector and the gates of the check.

    Nothing is detected again: a face is cut out just as serving does it, and what had no usable
    face then has none now.

    Args:
        sample: The photos.
        dataset: Where its rows are of.
        examined: All photos; they tell why some can't be used.
        bundle: The new one, as it was exported.
        threads: Photos in work at once.
        monitor: Told how far it is; what it raises passes through.

    Raises:
        TrainingDataError: If a photo is needed and gone, or was changed.
        StorageError: If the cache of crops can't be written.
    """
    usable = np.flatnonzero(sample.rows >= 0)
    embeddings = np.zeros((len(sample), bundle.manifest.embedding.dimension), np.float32)
    embed = _Embedders(bundle, dataset, threads)
    executor = ThreadPoolExecutor(threads, thread_name_prefix="unseen")
    try:
        found = executor.map(embed, sample.rows[usable].tolist())
        for done, (place, embedding) in enumerate(zip(usable, found, strict=True), start=1):
            embeddings[place] = embedding
            monitor.progress(done, len(usable), what="unseen photos")
    finally:
        executor.shutdown(cancel_futures=True)
    return _collected(sample, examined, embeddings)


def known_embeddings(
    sample: Sample, dataset: Dataset, examined: Sequence[Examined]
) -> EmbeddingSet:
    """What the base made of the photos when they were examined; nothing of the unusable ones."""
    embeddings = np.zeros((len(sample), dataset.embeddings.shape[1]), np.float32)
    usable = sample.rows >= 0
    embeddings[usable] = dataset.embeddings[sample.rows[usable]]
    return _collected(sample, examined, embeddings)


def _collected(sample: Sample, examined: Sequence[Examined], embeddings: Floats) -> EmbeddingSet:
    usable = sample.rows >= 0
    reasons = {each.photo.path: each.reasons for each in examined}
    return EmbeddingSet(
        images=sample.images,
        identities=sample.people,
        embeddings=embeddings,
        found=usable,
        usable=usable.copy(),
        measures=({},) * len(sample),
        reasons=tuple(
            () if kept else reasons[image.path]
            for image, kept in zip(sample.images, usable, strict=True)
        ),
    )


class _Embedders:
    """Cuts faces out and embeds them; each thread has an embedder to itself while it does."""

    def __init__(self, bundle: Bundle, dataset: Dataset, threads: int) -> None:
        section, alignment = bundle.manifest.embedding, bundle.manifest.alignment
        self._dataset = dataset
        self._template = alignment.template()
        self._central = alignment.method == "central_crop"
        commonness = bundle.networks[section.commonness] if section.commonness else None
        self._free: SimpleQueue[Embedder] = SimpleQueue()
        for _ in range(threads):
            self._free.put(Embedder(bundle.networks[section.network], section, commonness))

    def __call__(self, row: int) -> Floats:
        """The embedding of a row's face."""
        chip = self._chip(row)
        with self._embedder() as embed:
            return embed(chip)

    def _chip(self, row: int) -> Pixels:
        if self._central:
            return self._dataset.central(row, self._template.size)
        # With the margin that finetuning takes, the check has left it in the cache.
        wide = self._dataset.faces(row, self._template, MARGIN)
        return np.ascontiguousarray(wide[MARGIN:-MARGIN, MARGIN:-MARGIN])

    @contextmanager
    def _embedder(self) -> Iterator[Callable[[Pixels], Floats]]:
        embedder = self._free.get()
        try:
            yield embedder
        finally:
            self._free.put(embedder)
