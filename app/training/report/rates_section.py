"""Both bundles' rates as tables."""

from collections.abc import Iterator, Sequence
from typing import Final

from app.domain.calibration import BUCKETS, Buckets, Calibration
from app.training.acceptance.comparison_sections import (
    AtReferences,
    BundleSection,
    Comparison,
    VoteRates,
)
from app.training.acceptance.gate import GateResult
from app.training.acceptance.regression import RegressionResult
from app.training.acceptance.words import count, interval, points, price
from app.training.calibrate import MIN_FALSE_MATCHES, MIN_IDENTITY_PAIRS
from app.training.metrics import Interval
from app.training.report.markup import Html, element, items, joined, section, table

POINT_HEAD: Final = ("References", "max_fmr", "Threshold", "FMR", "FNMR")
_SHOWN: Final = (0.1, 0.01, 0.001, 0.0001)


def side_by_side(comparison: Comparison) -> Html:
    """The rates of both bundles, a table for each number of references."""
    bundles = (
        f"New: {comparison.candidate.version}",
        f"Active: {comparison.active.version}",
    )
    head = ("Measure", *bundles, "Difference")
    tables = [
        table(trials_of(rates), head, [tuple(map(_cell, row)) for row in rate_rows(rates)])
        for rates in comparison.rates
    ]
    subjects = "the owner" if comparison.owner else f"{comparison.people} people"
    return section(
        "Side by side",
        element(
            "p",
            f"Both bundles on the same {comparison.photos:,} photos of {comparison.people:,} "
            "people, which training never saw. Rates are followed by their 95 % interval; a "
            "genuine photo without a usable face counts as a false non-match.",
        ),
        *([element("p", comparison.note)] if comparison.note else []),
        *tables,
        table(
            f"Failures to enrol: photos of {subjects} without a usable face",
            ("", *bundles),
            [("photos", *map(_failures, (comparison.candidate, comparison.active)))],
        ),
        element("p", FOOTNOTE, class_="soft"),
    )


def _cell(text: str) -> Html:
    """A rate whose interval moves to the next line as a whole."""
    value, _, rest = text.replace(" %", "\u00a0%").replace(" *", "\u00a0*").partition(" (")
    return joined((value, " ", element("span", f"({rest}", class_="range") if rest else ""))


UNSUPPORTED: Final = "not supported"
FOOTNOTE: Final = (
    "FMR: share of strangers who match. FNMR: share of genuine trials that do not, at each "
    "bundle's own threshold for that FMR; not supported where fewer than "
    f"{MIN_FALSE_MATCHES} false matches between {MIN_IDENTITY_PAIRS} pairs of people stand behind "
    "it, and with * where it takes pairs of other people to have as many. EER: where the two rates "
    "meet. Precision and recall are those of the seed tutorial's vote at thresholds of 0.5, with "
    "as many strangers as genuine trials."
)


def trials_of(rates: AtReferences) -> str:
    """What the rates are counted on."""
    return (
        f"{count(rates.references, 'reference')}: {rates.genuine_trials:,} genuine and "
        f"{rates.impostor_trials:,} impostor trials, {rates.units} "
        f"{'groups of photos' if rates.unit == 'groups' else 'people'}, "
        f"{rates.impostors:,} other people"
    )


def rate_rows(rates: AtReferences) -> Iterator[tuple[str, str, str, str]]:
    """Rows of a table: measure, of the new bundle, of the active one, difference."""
    for target in rates.at_fmr:
        name = f"FNMR at FMR {price(target.target_fmr)}{' *' if target.pairs else ''}"
        if target.fnmr is None or target.difference is None:
            yield name, UNSUPPORTED, UNSUPPORTED, ""
        else:
            both = interval(target.fnmr.candidate), interval(target.fnmr.active)
            yield name, *both, points(target.difference)
    equal, votes = rates.equal_error_rate, rates.votes
    yield "EER", interval(equal.candidate), interval(equal.active), ""
    yield "precision (vote)", _precision(votes.candidate), _precision(votes.active), ""
    yield "recall (vote)", interval(votes.candidate.recall), interval(votes.active.recall), ""


def _precision(votes: VoteRates) -> str:
    return "accepts nobody" if votes.precision is None else interval(votes.precision)


def _failures(bundle: BundleSection) -> str:
    failures = bundle.failures
    reasons = ", ".join(f"{code}: {number}" for code, number in failures.reasons.items())
    told = f"{failures.failed} of {failures.photos}"
    return f"{told} ({reasons})" if reasons else told


def gate_section(gate: GateResult, regressions: Sequence[RegressionResult]) -> Html:
    """How the bundles were judged, and what it costs other people."""
    chance = "" if gate.chance is None else _CHANCE.format(gate.chance)
    rows = [_regression_row(result) for result in regressions if result.target_fmr is not None]
    sentences = (
        element("strong", result.sentence, class_="bad") if result.lost else result.sentence
        for result in regressions
    )
    head = ("Who", "People", "Photos", "FMR", "New", "Active", "Difference")
    return section(
        "Gate",
        element("p", gate.sentence + chance),
        element("h3", "Does anyone else lose by it?"),
        items(sentences),
        table("FNMR of both bundles at the same FMR", head, rows) if rows else "",
    )


_CHANCE: Final = (
    " If each photo or person had been as likely to differ the other way round, so large a "
    "difference would come up with a probability of {:.3g}."
)


def _regression_row(result: RegressionResult) -> tuple[object, ...]:
    """Figures of one set of other people, for a table."""
    fmr = "none" if result.target_fmr is None else price(result.target_fmr)
    difference = "not known" if result.difference is None else points(result.difference)
    rates = (fmr, _known(result.candidate), _known(result.active), difference)
    return result.name, f"{result.people:,}", f"{result.photos:,}", *map(_cell, rates)


def _known(rate: Interval | None) -> str:
    return "not known" if rate is None else interval(rate)


def calibration_section(calibration: Calibration) -> Html:
    """The thresholds of the new bundle, and whom they hold for."""
    subject = calibration.subject
    parts = [("everyone" if subject is None else f"the subject {subject}", calibration.buckets)]
    if subject is not None:
        parts.append(("everyone else", calibration.others))
    return section("Calibration", *(_calibrated(who, buckets) for who, buckets in parts))


def _calibrated(who: str, buckets: Buckets) -> Html:
    rows = [tuple(map(_cell, row)) for row in point_rows(buckets)]
    if not rows:
        return element("p", f"No false match rate is supported for {who}.")
    caption = f"Thresholds for {who}, each rate with its 95 % interval"
    return table(caption, POINT_HEAD, rows)


def point_rows(buckets: Buckets) -> Iterator[tuple[str, ...]]:
    """Operating points at round rates, for a table with `POINT_HEAD`."""
    for name in BUCKETS:
        for point in buckets.get(name, ()):
            if point.target_fmr in _SHOWN:
                fmr = interval(Interval(point.fmr, *point.fmr_interval))
                fnmr = interval(Interval(point.fnmr, *point.fnmr_interval))
                yield name, price(point.target_fmr), f"{point.threshold:.4f}", fmr, fnmr
