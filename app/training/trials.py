"""Comparison trials as the service makes them: a probe against the references of a subject."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.calibration import BUCKETS
from app.domain.decisions import Decider
from app.domain.entities import Floats
from app.training.embedding_set import EmbeddingSet

Indices = NDArray[np.intp]

MAX_REFERENCES = 50
"""As many as the seed tutorial enrols; the open bucket is calibrated up to here, or up to one less
than the photos that people have."""


@dataclass(frozen=True, slots=True)
class Trials:
    """Fused scores of trials.

    Attributes:
        scores: Shape (n,).
        subjects: Identity of the references, shape (n,).
        probes: Identity of the probe, shape (n,).
        photos: Row of the probe's photo in the set, shape (n,); draws repeat photos.
        failures: Genuine trials of each identity that no score was computed for, because the
            probe had no face or was inconclusive; shape (identities,).
    """

    scores: Floats
    subjects: Indices
    probes: Indices
    photos: Indices
    failures: Indices

    @property
    def genuine(self) -> NDArray[np.bool_]:
        """Which trials compare a person with themselves."""
        return np.asarray(self.subjects == self.probes)


def bucket_trials(
    photos: EmbeddingSet, decider: Decider, bucket: str, *, draws: int, seed: int
) -> Trials:
    """Enrol every identity that has enough photos, and try every other photo against it.

    Each draw picks, for each identity, a reference count of the bucket and that many usable
    photos at random. Photos that the quality gates refuse are never references; as genuine
    probes they count as failures, as impostor probes they are not tried.

    Args:
        photos: A labelled set; its identities are numbered from 0.
        decider: Scores and fuses; its calibration is not used.
        bucket: Name of a bucket of reference counts.
        draws: How many galleries are drawn.
        seed: Of the drawing.
    """
    generator = np.random.default_rng(seed)
    parts = [
        _try_subject(photos, decider, subject, references)
        for _ in range(draws)
        for subject, references in _galleries(photos, bucket, generator)
    ]
    failures = np.zeros(int(photos.identities.max()) + 1, np.intp)
    for part in parts:
        failures += part.failures
    if not parts:  # nobody has enough photos
        nobody = np.empty(0, np.intp)
        return Trials(np.empty(0, np.float32), nobody, nobody, nobody, failures)
    return Trials(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.subjects for part in parts]),
        np.concatenate([part.probes for part in parts]),
        np.concatenate([part.photos for part in parts]),
        failures,
    )


def _galleries(
    photos: EmbeddingSet, bucket: str, generator: np.random.Generator
) -> Iterator[tuple[int, Indices]]:
    low, high = BUCKETS[bucket]
    for subject in np.unique(photos.identities):
        usable = np.flatnonzero((photos.identities == subject) & photos.usable)
        most = min(high or MAX_REFERENCES, len(usable) - 1)
        if most >= low:
            count = int(generator.integers(low, most + 1))
            yield int(subject), generator.choice(usable, count, replace=False)


def _try_subject(
    photos: EmbeddingSet, decider: Decider, subject: int, references: Indices
) -> Trials:
    tried = photos.usable.copy()
    tried[references] = False
    probes = np.flatnonzero(tried)
    scores = decider.fused_scores(photos.embeddings[probes], photos.embeddings[references])
    failures = np.zeros(int(photos.identities.max()) + 1, np.intp)
    failures[subject] = np.count_nonzero((photos.identities == subject) & ~photos.usable)
    subjects = np.full(len(probes), subject, np.intp)
    return Trials(scores, subjects, photos.identities[probes], probes, failures)
