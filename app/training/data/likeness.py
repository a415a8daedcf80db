"""Who looks like the owner among the negatives, and who does not among the owner's photos.

Scores and thresholds are those of the active bundle, so that what is asked is what serving would
answer. Measured with `default-2` on 52 people of LFW and celeba-wild (12 to 530 photos each): of
240,221 trials of strangers, 6 reached the threshold priced at `CERTAIN_FMR`, 5 of them of one pair
of doubles, and 150 that at `SUSPECT_FMR`. Of the people's own photos 99 % (LFW) and 90 %
(celeba-wild) reached the former; 1 % looked like someone else's, at most a sixth of one person's.

A bundle made for an owner, of some hundred people, prices no rate as strict as `CERTAIN_FMR`. At
the strictest that it has, chance alone makes some strangers look like the owner. So a negative is
taken for the owner by such a bundle only if it is, besides, as alike as half of the owner's own
photos are to the others; whoever only reaches the threshold is a suspect. With two such bundles
(strictest rates 0.002 and 0.01) and 20 to 200 photos of their owners, of 485 photos of the owners
among some 2,000 of others, 230 were certain and the rest suspects; of 48,855 trials of others none
was certain, and 223 were suspects. A lower share of the photos would find more, but accuse
strangers by a bundle that only just knows its owner (`MOST_MISSED`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app.domain.calibration import Calibration, OperatingPoint, bucket_of
from app.domain.decisions import Decider
from app.domain.entities import Floats
from app.domain.scoring import fuse_rows, score_matrix

CERTAIN_FMR: Final = 0.0001
"""A negative that scores over the threshold priced so is taken for the owner."""

FALSE_ALARMS: Final = 0.1
"""How often chance may refuse a training by `CERTAIN_FMR`: of very many negatives some reach any
threshold, so for more than 1,000 of them a stricter rate is asked, as strict as the bundle has."""

SUSPECT_FMR: Final = 0.001
"""One over this is worth a look: a twin, a relative, chance, or a bad photo of the owner."""

OUTLIER_FMR: Final = 0.01
"""Two photos of a person should match at least at this rate."""

OUTLIER_SHARE: Final = 0.5
"""A photo that matches fewer of the owner's other photos does not show the owner, it seems. So the
majority decides who the owner is: strangers are found while they are fewer than half."""

MOST_MISSED: Final = 0.125
"""A bundle with a higher FNMR is not asked at a rate that is no strict one, nor for outliers: by
Markov's inequality, at most twice this share of the owner's photos match fewer than half of the
others by the bundle's weakness, and that is fewer than void a result as `several_owners`."""

JURY: Final = 500
"""Most photos of the owner that others are held against."""

_LEAST_JURY: Final = 3
_ROWS: Final = 1024


@dataclass(frozen=True, slots=True)
class Likeness:
    """What scores tell; numbers are rows.

    Attributes:
        certain: Negatives that are the owner as far as the bundle can tell, with their score, the
            most alike first.
        suspect: Others that may be.
        outliers: The owner's photos that look like someone else's, with the share of the owner's
            photos that they match, the least alike first.
        judged: Whether the bundle could be asked both: it must price some rate for the owner, at
            which it knows the owner.
    """

    certain: tuple[tuple[int, float], ...] = ()
    suspect: tuple[tuple[int, float], ...] = ()
    outliers: tuple[tuple[int, float], ...] = ()
    judged: bool = True


def likeness(
    embeddings: Floats,
    owner: NDArray[np.intp],
    others: NDArray[np.intp],
    groups: NDArray[np.intp],
    decider: Decider,
) -> Likeness:
    """Hold all photos against the owner's.

    Args:
        embeddings: Of all photos, shape (n, d).
        owner: Rows of the owner.
        others: Rows of all others.
        groups: Of all photos: of copies, one speaks for all.
        decider: Of the bundle, about the owner.
    """
    if not len(owner):
        return Likeness()
    calibration = decider.calibration
    single = _point(calibration, OUTLIER_FMR, 1)
    outliers: tuple[tuple[int, float], ...] = ()
    if single is not None and _tells(single):
        outliers = _outliers(embeddings, owner, groups, decider, single.threshold)
    outside = {row for row, _share in outliers}
    jury = _jury(np.array([row for row in owner if row not in outside], np.intp), groups)
    if not len(jury):
        return Likeness(outliers=outliers)
    suspect = _point(calibration, SUSPECT_FMR, len(jury))
    if suspect is None or not (suspect.target_fmr <= SUSPECT_FMR or _tells(suspect)):
        return Likeness(outliers=outliers, judged=False)
    certain = _certain(embeddings, jury, len(others), decider)
    found = sorted(
        (-score, row)
        for row, score in _fused(embeddings, others, jury, decider)
        if score >= suspect.threshold
    )
    alike = [(row, -score) for score, row in found]
    return Likeness(
        tuple(pair for pair in alike if pair[1] >= certain),
        tuple(pair for pair in alike if pair[1] < certain),
        outliers,
        judged=single is not None and _tells(single),
    )


def _point(calibration: Calibration, fmr: float, references: int) -> OperatingPoint | None:
    """The point priced at a rate, or at the strictest that is priced; None if none is."""
    points = calibration.buckets.get(bucket_of(references), ())
    if not points:
        return None
    strictest = min(point.target_fmr for point in points)
    return calibration.operating_point(max(fmr, strictest), references)


def _tells(point: OperatingPoint) -> bool:
    return point.fnmr <= MOST_MISSED


def _certain(embeddings: Floats, jury: NDArray[np.intp], strangers: int, decider: Decider) -> float:
    """The score over which one of so many strangers is taken for the owner."""
    rate = min(CERTAIN_FMR, FALSE_ALARMS / max(1, strangers))
    point = _point(decider.calibration, rate, len(jury))
    if point is not None and point.target_fmr <= CERTAIN_FMR:
        return point.threshold
    if point is None or not _tells(point):
        return inf
    return max(point.threshold, _own_median(embeddings, jury, decider))


def _own_median(embeddings: Floats, jury: NDArray[np.intp], decider: Decider) -> float:
    """What half of the owner's photos score against all others of the jury; of one photo, inf."""
    if len(jury) < 2:
        return inf
    scores = score_matrix(decider.score, decider.head, embeddings[jury], embeddings[jury])
    others = scores[~np.eye(len(jury), dtype=np.bool_)].reshape(len(jury), -1)
    return float(np.median(fuse_rows(decider.fusion, others)))


def _outliers(
    embeddings: Floats,
    owner: NDArray[np.intp],
    groups: NDArray[np.intp],
    decider: Decider,
    threshold: float,
) -> tuple[tuple[int, float], ...]:
    jury = _jury(owner, groups)
    found = []
    for rows, scores in _scored(embeddings, owner, jury, decider):
        others = groups[rows][:, None] != groups[jury]
        votes = ((scores >= threshold) & others).sum(axis=1)
        voters = others.sum(axis=1)
        shares = votes / np.maximum(voters, 1)
        out = (voters >= _LEAST_JURY) & (shares < OUTLIER_SHARE)
        found += [(float(shares[i]), int(rows[i])) for i in np.flatnonzero(out)]
    return tuple((row, share) for share, row in sorted(found))


def _jury(rows: NDArray[np.intp], groups: NDArray[np.intp]) -> NDArray[np.intp]:
    """The first photo of each group, and of very many groups some, evenly."""
    first = rows[np.sort(np.unique(groups[rows], return_index=True)[1])]
    if len(first) <= JURY:
        return first
    return first[np.linspace(0, len(first) - 1, JURY).astype(np.intp)]


def _fused(
    embeddings: Floats, rows: NDArray[np.intp], jury: NDArray[np.intp], decider: Decider
) -> Iterator[tuple[int, float]]:
    for some, scores in _scored(embeddings, rows, jury, decider):
        yield from zip(some.tolist(), fuse_rows(decider.fusion, scores).tolist(), strict=True)


def _scored(
    embeddings: Floats, rows: NDArray[np.intp], jury: NDArray[np.intp], decider: Decider
) -> Iterator[tuple[NDArray[np.intp], Floats]]:
    """Rows, a bounded number at a time, with their scores against the jury."""
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        yield (
            some,
            score_matrix(decider.score, decider.head, embeddings[some], embeddings[jury]),
        )
