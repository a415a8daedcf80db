"""The rows of the seed tutorial's protocol: each bundle on each kind of probes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.training.metrics import Interval
from benchmarks.seed_protocol_embedding import CLEAN, WAYS, Embedded
from benchmarks.seed_protocol_rates import (
    FMRS,
    REFERENCES,
    Counts,
    Scores,
    error_rounds,
    interval,
    own_threshold,
    rate_interval,
    scores,
    tar_rounds,
)

PRICE: Final = 0.01
"""The `max_fmr` whose threshold FNMR and FMR are measured at."""
DEGRADED: Final = "all degraded"
"""The mean over the ways of degrading: the same photos in each, and resampled together."""
PROBES: Final = (CLEAN, *(way.name for way in WAYS), DEGRADED)
_SEED: Final = 11

HEADERS: Final = (
    "bundle",
    "probes",
    "references",
    "FNMR",
    "FMR",
    *(f"TAR at {fmr:g}" for fmr in FMRS),
    *(f"gain at {fmr:g}" for fmr in FMRS),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One bundle on one kind of probes with one number of references.

    Attributes:
        fnmr: At the bundle's own threshold for the owner; None if it has none at `PRICE`.
        fmr: Likewise.
        tar: By the FMR whose threshold the impostors set.
        gain: Of that over the default bundle, paired over photos and people.
    """

    bundle: str
    probes: str
    references: int
    fnmr: Interval | None
    fmr: Interval | None
    tar: dict[float, Interval]
    gain: dict[float, Interval]

    def cells(self) -> tuple[str, ...]:
        """As `HEADERS`, in percent."""
        return (
            self.bundle,
            self.probes,
            str(self.references),
            *(percent(rate) if rate else "-" for rate in (self.fnmr, self.fmr)),
            *(percent(self.tar[fmr]) for fmr in FMRS),
            *(percent(self.gain[fmr]) for fmr in FMRS),
        )


@dataclass(frozen=True, slots=True)
class Rounds:
    """Rates in rounds of the bootstrap."""

    tar: dict[float, Counts]
    errors: tuple[Counts, Counts] | None


def rows(found: Mapping[str, Embedded], subject: str) -> Iterator[Row]:
    """All rows; gains are over the first bundle.

    Args:
        found: What each bundle makes of the photos.
        subject: Key of the owner, for the bundles' own thresholds.
    """
    for count in REFERENCES:
        rounds = {name: _every_way(each, subject, count) for name, each in found.items()}
        base = next(iter(rounds.values()))
        some = next(iter(found.values()))
        owners, people = len(some.probes[CLEAN].usable), len(some.impostors[CLEAN].usable)
        for probes in PROBES:
            for name, ways in rounds.items():
                own = ways[probes]
                yield Row(
                    name,
                    probes,
                    count,
                    rate_interval(own.errors[0], owners) if own.errors else None,
                    rate_interval(own.errors[1], people) if own.errors else None,
                    {fmr: rate_interval(own.tar[fmr], owners) for fmr in FMRS},
                    {fmr: interval(own.tar[fmr] - base[probes].tar[fmr]) for fmr in FMRS},
                )


def _every_way(found: Embedded, subject: str, count: int) -> dict[str, Rounds]:
    decider = found.decider.about(subject)
    threshold = own_threshold(decider, subject, count, PRICE)
    ways = {}
    for way in found.probes:
        tried = scores(
            decider,
            found.references,
            found.probes[way],
            found.impostors[way],
            count=count,
            seed=_SEED,
        )
        ways[way] = _rounds(tried, threshold)
    return ways | {DEGRADED: _mean([rounds for way, rounds in ways.items() if way != CLEAN])}


def _rounds(tried: Scores, threshold: float | None) -> Rounds:
    return Rounds(
        {fmr: tar_rounds(tried, fmr, _SEED) for fmr in FMRS},
        None if threshold is None else error_rounds(tried, threshold, _SEED),
    )


def _mean(ways: list[Rounds]) -> Rounds:
    errors = [way.errors for way in ways if way.errors]
    return Rounds(
        {fmr: np.mean([way.tar[fmr] for way in ways], axis=0) for fmr in FMRS},
        (
            np.mean([fnmr for fnmr, _fmr in errors], axis=0),
            np.mean([fmr for _fnmr, fmr in errors], axis=0),
        )
        if errors
        else None,
    )


def percent(rate: Interval) -> str:
    """A rate and its interval."""
    return f"{100 * rate.value:.1f} ({100 * rate.low:.1f} to {100 * rate.high:.1f})"
