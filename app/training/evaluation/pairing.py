"""Which photos are compared: genuine and impostor pairs of a labelled set, drawn by a seed."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from app.domain.decisions import Decider
from app.domain.entities import Floats
from app.training.embedding_set import EmbeddingSet
from app.training.evaluation.curves import FAILED, Comparisons, Indices

IMPOSTOR_PAIRS: Final = 1_000_000
GENUINE_PAIRS_PER_IDENTITY: Final = 30

Rows = tuple[Indices, Indices]


def compare(
    photos: EmbeddingSet,
    decider: Decider,
    *,
    seed: int,
    per_identity: int = GENUINE_PAIRS_PER_IDENTITY,
) -> Comparisons:
    """Compare photos of one person, and photos of two.

    Genuine pairs are all there are, at most `per_identity` a person; one with a photo that could
    not be used has failed. Impostor pairs are of usable photos: all if there are up to
    `IMPOSTOR_PAIRS`, else that many drawn at random.
    """
    generator = np.random.default_rng(seed)
    first, second = genuine_pairs(photos.identities, generator, per_identity)
    usable = np.flatnonzero(photos.usable)
    a, b = impostor_pairs(photos.identities, usable, generator)
    genuine = pair_scores(photos.embeddings, first, second, decider)
    genuine[~(photos.usable[first] & photos.usable[second])] = FAILED
    return Comparisons(
        genuine=genuine,
        owners=photos.identities[first],
        impostor=pair_scores(photos.embeddings, a, b, decider),
        first=photos.identities[a],
        second=photos.identities[b],
    )


def pair_scores(embeddings: Floats, first: Indices, second: Indices, decider: Decider) -> Floats:
    """Decision score of each pair of rows, shape (n,)."""
    return cross_scores(embeddings, embeddings, (first, second), decider)


def cross_scores(probes: Floats, references: Floats, rows: Rows, decider: Decider) -> Floats:
    """Decision score of rows of `probes` with rows of `references`, shape (n,)."""
    first, second = rows
    scores = np.empty(len(first), np.float32)
    for start in range(0, len(first), 65536):
        part = slice(start, start + 65536)
        scores[part] = decider.pairwise(probes[first[part]], references[second[part]])
    return scores


def genuine_pairs(identities: Indices, generator: np.random.Generator, cap: int) -> Rows:
    """Rows of all pairs within each identity, at most `cap` of them an identity."""
    pairs = list(_pairs_by_identity(identities, generator, cap))
    return np.concatenate([p[0] for p in pairs]), np.concatenate([p[1] for p in pairs])


def _pairs_by_identity(
    identities: Indices, generator: np.random.Generator, cap: int
) -> Iterator[Rows]:
    for members in _groups(identities, np.arange(len(identities))):
        first, second = np.triu_indices(len(members), 1)
        if len(first) > cap:
            chosen = generator.choice(len(first), cap, replace=False)
            first, second = first[chosen], second[chosen]
        yield members[first], members[second]


def impostor_pairs(
    identities: Indices,
    rows: Indices,
    generator: np.random.Generator,
    limit: int = IMPOSTOR_PAIRS,
) -> Rows:
    """Pairs among `rows` of two people: all if there are at most `limit`, else `limit` of them."""
    groups = _groups(identities, rows)
    sizes = np.array([len(group) for group in groups], np.int64)
    if (sizes.sum() ** 2 - (sizes**2).sum()) // 2 > limit:
        return _draw(identities, (rows, rows), generator, limit, ordered=False)
    first, second = [np.empty(0, np.intp)], [np.empty(0, np.intp)]
    rest = np.concatenate([*groups, np.empty(0, np.intp)])
    for group in groups:
        rest = rest[len(group) :]
        first.append(np.repeat(group, len(rest)))
        second.append(np.tile(rest, len(group)))
    return np.concatenate(first), np.concatenate(second)


def cross_impostor_pairs(
    identities: Indices,
    sides: Rows,
    generator: np.random.Generator,
    limit: int = IMPOSTOR_PAIRS,
) -> Rows:
    """The same between two lists of rows, probes and references."""
    probes, references = sides
    people = int(identities.max(initial=-1)) + 1
    own = np.bincount(identities[probes], minlength=people)
    same = own @ np.bincount(identities[references], minlength=people)
    if len(probes) * len(references) - same > limit:
        return _draw(identities, sides, generator, limit, ordered=True)
    first, second = np.nonzero(identities[probes][:, None] != identities[references])
    return probes[first], references[second]


def _draw(
    identities: Indices, sides: Rows, generator: np.random.Generator, limit: int, *, ordered: bool
) -> Rows:
    """`limit` different pairs of two people, each as likely as any other; there must be as many.

    Args:
        identities: Shape (n,).
        sides: Rows that the first and the second of a pair are drawn from.
        generator: Draws.
        limit: How many.
        ordered: Whether (a, b) and (b, a) are two pairs.
    """
    rows, drawn = len(identities), np.empty(0, np.int64)
    while len(drawn) < limit:
        first, second = (side[generator.integers(len(side), size=limit * 5 // 4)] for side in sides)
        if not ordered:
            first, second = np.minimum(first, second), np.maximum(first, second)
        different = identities[first] != identities[second]
        drawn = np.concatenate([drawn, first[different] * rows + second[different]])
        _values, places = np.unique(drawn, return_index=True)
        drawn = drawn[np.sort(places)]
    first, second = np.divmod(drawn[:limit], rows)
    return first, second


def _groups(identities: Indices, rows: Indices) -> list[Indices]:
    """`rows` by identity."""
    ordered = rows[np.argsort(identities[rows], kind="stable")]
    return np.split(ordered, np.flatnonzero(np.diff(identities[ordered])) + 1)
