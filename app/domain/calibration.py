"""Thresholds priced in error rates (ISO/IEC 19795 words: FMR, FNMR)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.domain.entities import FmrEstimate
from app.domain.errors import UnsupportedFmrError

BUCKETS: Final[Mapping[str, tuple[int, int | None]]] = {
    "1": (1, 1),
    "2": (2, 2),
    "3-5": (3, 5),
    "6-10": (6, 10),
    "11+": (11, None),
}
"""Reference counts, inclusive, that share one calibration."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold and what it costs, each rate with its 95 % interval for other people.

    Attributes:
        fmr: Share of impostor trials with a fused score at or above `threshold`.
        fnmr: Share of genuine trials below `threshold`.
        false_matches: Distinct (subject, impostor photo) pairs that matched.
        identity_pairs: Distinct pairs of people among them.
        inherited: Whether they are too few to support the rate by themselves, and it stands on
            the bucket of fewer references, whose threshold is no stricter.
    """

    target_fmr: float
    threshold: float
    fmr: float
    fmr_interval: tuple[float, float]
    fnmr: float
    fnmr_interval: tuple[float, float]
    false_matches: int
    identity_pairs: int
    inherited: bool = False


Buckets = Mapping[str, Sequence[OperatingPoint]]
"""Operating points by name of a bucket, from lax to strict."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Supported operating points per bucket of reference count.

    It holds for everyone, or for one subject: thresholds that were measured on the photos of one
    person say nothing about how well others are told apart. See `about`.

    Attributes:
        buckets: For the subject; for everyone if there is none.
        subject: Key of the subject that this was calibrated on; None if it holds for everyone.
        others: For all other subjects; empty where nothing is known of them.
        calibrated_on: Set in what `about` gives for another subject: whom the bundle is about.
    """

    buckets: Buckets
    subject: str | None = None
    others: Buckets = field(default_factory=dict)
    calibrated_on: str | None = None

    def about(self, subject_key: str | None) -> "Calibration":
        """What holds for a subject; None means somebody who is not enrolled."""
        if self.subject is None:
            return self
        if subject_key == self.subject:
            return Calibration(self.buckets)
        return Calibration(self.others, calibrated_on=self.subject)

    def supports(self, max_fmr: float) -> bool:
        """Whether the rate can be priced for any subject and any number of references."""
        buckets = (*self.buckets.values(), *self.others.values())
        return any(_within(point, max_fmr) for bucket in buckets for point in bucket)

    def priced(self, max_fmr: float) -> tuple[str, ...]:
        """Names of the buckets of reference counts for which the rate can be priced.

        For whom this is about: ask what `about` gives.
        """
        return tuple(
            name
            for name in BUCKETS
            if any(_within(point, max_fmr) for point in self.buckets.get(name, ()))
        )

    def operating_point(self, max_fmr: float, references: int) -> OperatingPoint:
        """The laxest calibrated point whose target does not exceed `max_fmr`.

        Between calibrated rates the next stricter threshold is taken.

        Args:
            max_fmr: The false match rate that the caller accepts, in 0..1.
            references: How many references are fused, at least 1.

        Raises:
            UnsupportedFmrError: If no supported point is that strict.
        """
        bucket = bucket_of(references)
        points = self.buckets.get(bucket, ())
        allowed = [p for p in points if _within(p, max_fmr)]
        if not allowed:
            supported = min((p.target_fmr for p in points), default=None)
            message = (
                f"This bundle's calibration does not support an FMR of {max_fmr:g} with "
                f"{references} reference(s)."
            )
            if self.calibrated_on is not None:
                message = (
                    f"This bundle was calibrated on the subject {self.calibrated_on} only: for "
                    f"anyone else it does not support an FMR of {max_fmr:g} with {references} "
                    "reference(s)."
                )
            if supported is not None:
                message += f" The strictest supported rate is {supported:g}."
            raise UnsupportedFmrError(
                message, max_fmr=max_fmr, references=references, strictest_supported=supported
            )
        return max(allowed, key=lambda p: p.target_fmr)


def _within(point: OperatingPoint, max_fmr: float) -> bool:
    return point.target_fmr <= max_fmr * (1 + 1e-9)


def bucket_of(references: int) -> str:
    """Name of the bucket that holds this reference count.

    Raises:
        ValueError: If the count is below 1.
    """
    for name, (low, high) in BUCKETS.items():
        if low <= references and (high is None or references <= high):
            return name
    raise ValueError(f"{references} references fall in no bucket")


def estimate(point: OperatingPoint) -> FmrEstimate:
    """The part of an operating point that an answer carries."""
    return FmrEstimate(point.target_fmr, point.fmr, point.fmr_interval)
