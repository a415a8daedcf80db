"""FNMR of a bundle in many rounds of a bootstrap at once."""

import numpy as np

from app.domain.entities import Floats
from app.training.acceptance.crowd import Crowd
from app.training.acceptance.sample import Flags
from app.training.evaluation.curves import Comparisons, Rates
from app.training.metrics import Counts


def fnmr_rounds(
    found: Comparisons, fmr: float, weights: Counts, crowd: Crowd | None = None
) -> Rates:
    """FNMR at the threshold that the impostors set at `fmr`, in each round of a bootstrap.

    The same as `resampled` gives, but for many rounds at once.

    Args:
        found: Trials of one bundle.
        fmr: At most so many impostors match.
        weights: How often each round draws what is resampled.
        crowd: If given, the threshold is no laxer than these pairs set it.

    Returns:
        Shape (rounds,); not a number where a round drew no genuine or no impostor comparison.
    """
    by_score, by_genuine = np.argsort(-found.impostor), np.argsort(found.genuine)
    impostor, genuine = found.impostor[by_score], found.genuine[by_genuine]
    rates = np.full(len(weights), np.nan)
    if not len(impostor) or not len(genuine):
        return rates
    pairs = len(crowd.scores) if crowd else 0
    step = max(4_000_000 // (len(impostor) + len(genuine) + pairs), 1)
    for start in range(0, len(weights), step):
        drawn = weights[start : start + step]
        own, strangers = found.weigh(drawn)
        edge, complete = _edges(impostor, strangers[:, by_score], fmr)
        if crowd:
            further, known = _edges(crowd.scores, crowd.weigh(drawn), fmr)
            edge, complete = np.maximum(edge, further), complete & known
        missed = np.cumsum(own[:, by_genuine], axis=1)
        below = np.searchsorted(genuine, edge, side="left")
        lost = np.where(below > 0, missed[np.arange(len(own)), below - 1], 0.0)
        complete = complete & (missed[:, -1] > 0)
        rates[start : start + step][complete] = lost[complete] / missed[complete, -1]
    return rates


def _edges(scores: Floats, drawn: Rates, fmr: float) -> tuple[Floats, Flags]:
    """Threshold of each round, and whether it drew any of the scores, which fall."""
    matched = np.cumsum(drawn, axis=1)
    barred = matched > matched[:, -1:] * (fmr * (1 + 1e-9))
    edge = np.nextafter(scores[barred.argmax(axis=1)], np.float32(np.inf))
    return np.where(barred.any(axis=1), edge, scores[-1]), matched[:, -1] > 0
