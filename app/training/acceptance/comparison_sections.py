"""What the comparison of two bundles tells, as JSON and to the page of a report."""

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from app.training.evaluation.curves import RateCurve
from app.training.metrics import Interval


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True)


class Failures(_Section):
    """Failures to enrol: photos of the subjects in which a bundle finds no usable face."""

    photos: int
    failed: int
    reasons: dict[str, int] = Field(description="A photo can have several.")


class Histogram(_Section):
    """Scores of the trials. Bundles score on scales of their own."""

    edges: list[float] = Field(description="Ends of the bins, one more than there are bins.")
    genuine: list[float] = Field(description="Share of the genuine trials in each bin.")
    impostor: list[float] = Field(description="Share of the impostor trials in each bin.")
    not_scored: int = Field(description="Genuine trials of a photo without a usable face.")
    fmr: float | None = Field(description="What the threshold is priced at.")
    threshold: float | None = Field(description="Null if the impostors support no FMR.")


class Curve(_Section):
    """FNMR over FMR, of which ROC and DET are drawn, with its pointwise 95 % band."""

    fmr: list[float]
    fnmr: list[float]
    low: list[float]
    high: list[float]
    supported: float = Field(description="Up to this FMR too few false matches are behind it.")

    @classmethod
    def of(cls, found: RateCurve) -> "Curve":
        """As lists, to four digits."""
        fmr, fnmr, low, high = (
            [float(f"{value:.4g}") for value in each]
            for each in (found.fmr, found.fnmr, found.low, found.high)
        )
        return cls(fmr=fmr, fnmr=fnmr, low=low, high=high, supported=found.supported)

    def drawn(self) -> RateCurve:
        """As the plots take it."""
        fmr, fnmr, low, high = (
            np.array(each) for each in (self.fmr, self.fnmr, self.low, self.high)
        )
        return RateCurve(fmr, fnmr, low, high, self.supported)


class BundleSection(_Section):
    """What is shown of one bundle."""

    version: str
    failures: Failures
    histogram: Histogram | None
    curve: Curve | None


class VoteRates(_Section):
    """The seed tutorial's rule at its thresholds of 0.5 and 0.5."""

    precision: Interval | None = Field(
        description="Share of genuine trials among the accepted, if there were as many impostor "
        "trials as genuine ones, as in the tutorial; null if it accepts none."
    )
    recall: Interval = Field(description="Share of the genuine trials that it accepts.")


class Both(_Section):
    """A rate of both bundles."""

    candidate: Interval
    active: Interval


class BothVotes(_Section):
    """The tutorial's figures of both bundles."""

    candidate: VoteRates
    active: VoteRates


class AtFmr(_Section):
    """FNMR of each bundle at its own threshold for an FMR."""

    target_fmr: float
    fnmr: Both | None = Field(description="Null if too few false matches support the FMR.")
    difference: Interval | None = Field(description="The new bundle's FNMR less the active one's.")
    pairs: int = Field(
        description="Pairs of other people that backed the thresholds; 0 where the impostors of "
        "the trials did so alone."
    )
    reason: str | None = Field(description="Why there is no rate.")


class AtReferences(_Section):
    """Rates with one number of references; each interval is a 95 % one."""

    references: int
    galleries: int
    genuine_trials: int
    impostor_trials: int
    unit: str = Field(description="What was resampled: `groups` of photos, or `people`.")
    units: int
    impostors: int = Field(description="Other people who were tried.")
    at_fmr: list[AtFmr]
    equal_error_rate: Both
    votes: BothVotes


class Comparison(_Section):
    """The test side by both bundles. A photo without a usable face is a false non-match."""

    max_fmr: float = Field(description="FACETWIN_MAX_FMR.")
    photos: int
    people: int
    groups: int = Field(
        description="Photos of the subjects, where those that belong together are one."
    )
    owner: bool = Field(description="Whether genuine trials are the owner's alone.")
    shown_references: int = Field(description="Of histograms and curves.")
    candidate: BundleSection
    active: BundleSection
    rates: list[AtReferences] = Field(description="By number of references.")
    note: str | None = Field(description="Why there are no rates.")
