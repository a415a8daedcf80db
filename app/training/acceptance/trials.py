"""Trials as the service makes them: which photos are enrolled, and which are tried against them.

A plan knows nothing of embeddings: two bundles are tried on the same photos in the same way.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.domain.decisions import Decider, VoteRule
from app.domain.entities import Floats
from app.domain.scoring import ScoreName, fuse_rows, score_matrix
from app.training.acceptance.sample import Flags, Indices, Sample
from app.training.embedding_set import EmbeddingSet
from app.training.evaluation.curves import FAILED
from app.training.trials import MAX_REFERENCES

Range = tuple[int, int | None]
"""The least and the largest number of references; None for as many as there are."""

MAX_TRIALS: Final = 2_000_000
"""Beyond this, each gallery is tried by a random part of the impostor photos."""

_PROBES: Final = 32
"""That are scored at once: with 4,096 numbers each, what lies between is still in the cache."""


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """Galleries, and the photos that are tried against each.

    Attributes:
        galleries: Rows of the references of each gallery.
        subjects: Person of each gallery, shape (galleries,).
        counts: Trials against each gallery, shape (galleries,).
        probes: Row of the photo of each trial, by gallery, shape (n,).
    """

    galleries: tuple[Indices, ...]
    subjects: Indices
    counts: Indices
    probes: Indices

    def __len__(self) -> int:
        return len(self.probes)

    @property
    def claimed(self) -> Indices:
        """Person that each trial is against, shape (n,)."""
        return np.repeat(self.subjects, self.counts)

    def genuine(self, sample: Sample) -> Flags:
        """Which trials compare a person with themselves, shape (n,)."""
        return np.asarray(sample.people[self.probes] == self.claimed)

    def scores(self, sample: Sample, photos: EmbeddingSet, decider: Decider) -> Floats:
        """Fused score of each trial, shape (n,); `FAILED` where a probe can't be used."""
        found = self._fused(
            lambda probes, references: score_matrix(
                decider.score, decider.head, probes, references
            ),
            lambda matrix: fuse_rows(decider.fusion, matrix),
            photos.embeddings,
        )
        return self._failing(sample, photos, found)

    def votes(
        self, sample: Sample, photos: EmbeddingSet, decider: Decider, rule: VoteRule
    ) -> Flags:
        """Whether the seed tutorial's rule accepts each trial, shape (n,)."""
        logit = float(np.log(rule.detection_threshold / (1 - rule.detection_threshold)))
        shares = self._fused(
            lambda probes, references: score_matrix(
                ScoreName.L1_LOGIT, decider.head, probes, references
            ),
            lambda matrix: (matrix > logit).mean(axis=-1, dtype=np.float32),
            photos.embeddings,
        )
        accepted = self._failing(sample, photos, shares) > rule.verification_threshold
        return np.asarray(accepted, np.bool_)

    def _fused(
        self,
        score: Callable[[Floats, Floats], Floats],
        fuse: Callable[[Floats], Floats],
        embeddings: Floats,
    ) -> Floats:
        scores = np.empty(len(self), np.float32)
        if not len(self):
            return scores
        references, columns = np.unique(np.concatenate(self.galleries), return_inverse=True)
        probes, lines = np.unique(self.probes, return_inverse=True)
        known = embeddings[references]
        matrix = np.empty((len(probes), len(references)), np.float32)
        for start in range(0, len(probes), _PROBES):
            block = slice(start, start + _PROBES)
            matrix[block] = score(embeddings[probes[block]], known)
        done, used = 0, 0
        for gallery, count in zip(self.galleries, self.counts, strict=True):
            part, own = slice(done, done + count), columns[used : used + len(gallery)]
            scores[part] = fuse(matrix[np.ix_(lines[part], own)])
            done, used = done + int(count), used + len(gallery)
        return scores

    def _failing(self, sample: Sample, photos: EmbeddingSet, scores: Floats) -> Floats:
        lost = self.genuine(sample) & ~photos.usable[self.probes]
        return np.where(lost, np.float32(FAILED), scores)


def planned(parts: Iterable[tuple[int, Indices, Indices]]) -> TrialPlan:
    """A plan of (subject, references, probes)."""
    made = list(parts)
    nothing = np.empty(0, np.intp)
    return TrialPlan(
        galleries=tuple(references for _, references, _ in made),
        subjects=np.array([subject for subject, _, _ in made], np.intp),
        counts=np.array([len(probes) for _, _, probes in made], np.intp),
        probes=np.concatenate([nothing, *(probes for _, _, probes in made)]),
    )


def drawn_plan(
    sample: Sample,
    usable: Flags,
    subjects: Indices,
    references: Range,
    *,
    draws: int,
    seed: int,
    limit: int = MAX_TRIALS,
) -> TrialPlan:
    """Galleries of random references.

    The references of a gallery are one photo from each of as many groups, of the test side if the
    subject is the owner. Tried are the subject's photos of all other groups, failures included, and
    the usable photos of everyone else. A subject whose photos are all needed as references is tried
    by impostors only.

    Args:
        sample: The photos.
        usable: Which of them can be references or impostor probes, shape (n,).
        subjects: People to enrol; who has too few photos is left out.
        references: How many references; each gallery draws its own number.
        draws: Galleries of each subject.
        seed: Of the drawing.
        limit: Of the trials, about; beyond it impostors are drawn.
    """
    generator = np.random.default_rng([seed, references[0]])
    impostors = max(limit // max(draws * len(subjects), 1), 1)

    def parts() -> Iterator[tuple[int, Indices, Indices]]:
        for subject in subjects:
            own = np.flatnonzero(sample.people == subject)
            if subject == sample.owner:
                own = own[sample.tested[own]]
            strangers = np.flatnonzero(usable & (sample.people != subject))
            for _ in range(draws):
                drawn = _gallery(sample, own, own[usable[own]], references, generator)
                if drawn is None:
                    break
                gallery, probes = drawn
                others = _some(strangers, impostors, generator)
                yield int(subject), gallery, np.concatenate([probes, others])

    return planned(parts())


def _gallery(
    sample: Sample,
    own: Indices,
    usable: Indices,
    references: Range,
    generator: np.random.Generator,
) -> tuple[Indices, Indices] | None:
    """References and genuine probes; None if the subject has too few photos."""
    low, high = references
    groups = np.unique(sample.groups[usable])
    most = min(high or MAX_REFERENCES, len(groups) - 1)
    if len(groups) < low:
        return None
    count = int(generator.integers(low, most + 1)) if most >= low else low
    chosen = generator.choice(groups, count, replace=False)
    gallery = np.array(
        [generator.choice(usable[sample.groups[usable] == group]) for group in chosen], np.intp
    )
    if most < low:
        return gallery, np.empty(0, np.intp)
    return gallery, own[~np.isin(sample.groups[own], chosen)]


def left_out_plan(
    sample: Sample,
    usable: Flags,
    subjects: Indices,
    *,
    most: int,
    seed: int,
    limit: int = MAX_TRIALS,
) -> TrialPlan:
    """Every photo of a subject in turn is tried against its other photos.

    Args:
        sample: The photos.
        usable: Which of them can be references or impostor probes, shape (n,).
        subjects: People with at least two groups of photos; others are left out.
        most: References of a gallery, at most; each of a group of its own.
        seed: Of the drawing.
        limit: Of the trials, about; beyond it impostors are drawn.
    """
    generator = np.random.default_rng(seed)
    photos = int(np.isin(sample.people, subjects).sum())

    def parts() -> Iterator[tuple[int, Indices, Indices]]:
        for subject in subjects:
            own = np.flatnonzero(sample.people == subject)
            strangers = np.flatnonzero(usable & (sample.people != subject))
            for probe in own:
                rest = own[usable[own] & (sample.groups[own] != sample.groups[probe])]
                if not len(rest):
                    continue
                shuffled = generator.permutation(rest)
                _, first = np.unique(sample.groups[shuffled], return_index=True)
                gallery = _some(shuffled[first], most, generator)
                others = _some(strangers, max(limit // max(photos, 1), 1), generator)
                yield int(subject), gallery, np.concatenate([[probe], others])

    return planned(parts())


def _some(rows: Indices, most: int, generator: np.random.Generator) -> Indices:
    if len(rows) <= most:
        return rows
    return np.sort(generator.choice(rows, most, replace=False))
