"""Both sides on the uncropped photos of CelebA people: errors at an equal FMR, faces not found."""

from pathlib import Path
from typing import Final

import numpy as np
from pydantic import BaseModel

from app.training.datasets import CelebA, LabelledImage
from app.training.datasets import Side as People
from app.training.evaluation.curves import Comparisons, error_curve
from app.training.evaluation.intervals import ImpostorTrials, fnmr_interval
from app.training.evaluation.rates import is_supported
from app.training.metrics import Counts, Interval
from benchmarks.peer_rates import (
    Rate,
    comparisons,
    draw_pairs,
    fnmr_at_fmr,
    not_found,
    ratio,
    shared_weights,
)
from benchmarks.peer_side import Side

FMR: Final = 1e-3
ROUNDS: Final = 500


class AtTolerance(BaseModel):
    """A side at the threshold that it documents."""

    fmr: Interval
    fnmr: Interval


class CelebaSide(BaseModel):
    """One side's result.

    Attributes:
        fnmr: Share of the genuine pairs that do not match at an FMR of 1e-3 on these impostor
            pairs; a pair with a failed photo is an error.
        supported: Whether enough false matches, of enough people, stand behind that threshold.
        fnmr_of_usable: The same share, of the pairs whose photos could both be used.
        fnmr_at_peer_fmr: The same as `fnmr`, at the FMR that the peer has at its tolerance.
        impostor_pairs: Pairs whose photos could both be used; they set the threshold.
    """

    fnmr: Interval
    supported: bool
    fnmr_of_usable: float
    fnmr_at_peer_fmr: float
    at_tolerance: AtTolerance | None
    threshold: float
    not_found: int
    inconclusive: int
    impostor_pairs: int


class CelebaFigures(BaseModel):
    """Both sides on the same photos and pairs; ratios are ours over theirs."""

    people: People
    identities: int
    images: int
    genuine_pairs: int
    impostor_pairs: int
    sides: dict[str, CelebaSide]
    errors_ratio: Interval | None
    not_found_ratio: Interval | None


def celeba_photos(data: Path, people: People, limit: int | None) -> list[LabelledImage]:
    """The uncropped photos of the people; of the first `limit` photos' whole persons for a trial.

    Raises:
        InvalidRequestError: If `data` does not hold both folders of CelebA.
    """
    celeba = CelebA.read(data)
    wild = set(celeba.wild)
    images = [image for image in celeba.side(people) if image in wild]
    chosen = {image.identity for image in images[:limit]}
    return [image for image in images if image.identity in chosen]


def celeba_figures(ours: Side, theirs: Side, *, people: People, seed: int) -> CelebaFigures:
    """Errors and failures of each side, and the ratios."""
    identities = ours.photos.identities
    count = int(identities.max()) + 1
    pairs = draw_pairs(identities, seed=seed)
    our, their = comparisons(ours, pairs), comparisons(theirs, pairs)
    weights = shared_weights((our, their), identities=count, rounds=ROUNDS, seed=seed)
    our_errors, their_errors = (fnmr_at_fmr(made, FMR, weights) for made in (our, their))
    peer_fmr = float(error_curve(their).fmr(theirs.tolerance))
    return CelebaFigures(
        people=people,
        identities=count,
        images=len(identities),
        genuine_pairs=len(pairs.genuine[0]),
        impostor_pairs=len(pairs.impostor[0]),
        sides={
            ours.name: _side(ours, our, our_errors, peer_fmr, weights),
            theirs.name: _side(theirs, their, their_errors, peer_fmr, weights),
        },
        errors_ratio=ratio(our_errors, their_errors),
        not_found_ratio=ratio(not_found(ours, weights), not_found(theirs, weights)),
    )


def _side(
    side: Side, made: Comparisons, errors: Rate, peer_fmr: float, weights: Counts
) -> CelebaSide:
    curve = error_curve(made)
    threshold = float(curve.thresholds_at(FMR))
    usable = made.made().genuine
    return CelebaSide(
        fnmr=errors.interval(),
        supported=is_supported(made, FMR),
        fnmr_of_usable=float(np.mean(usable < np.float32(threshold))),
        fnmr_at_peer_fmr=1 - float(curve.tar(peer_fmr)),
        at_tolerance=_at_tolerance(side, made, weights),
        threshold=threshold,
        not_found=side.not_found,
        inconclusive=side.inconclusive,
        impostor_pairs=len(made.impostor),
    )


def _at_tolerance(side: Side, made: Comparisons, weights: Counts) -> AtTolerance | None:
    if side.tolerance is None:
        return None
    matched = made.impostor >= np.float32(side.tolerance)
    trials = ImpostorTrials.of(made.first, made.second, weights)
    return AtTolerance(fmr=trials.rate(matched), fnmr=fnmr_interval(made, side.tolerance, weights))
