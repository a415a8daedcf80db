"""The model card of a bundle that a job trained; it names no person and no file."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from app.domain.calibration import Calibration
from app.domain.training import Preset
from app.training.job.bundle import licence
from app.training.report.document import plain, split_counts
from app.training.report.findings import Findings
from app.training.report.rates_section import FOOTNOTE, POINT_HEAD, point_rows, rate_rows, trials_of
from app.training.report.training_section import flat


def model_card(findings: Findings) -> str:
    """Markdown for people who decide whether to use the bundle."""
    options, trained = findings.options, findings.trained
    return _TEXT.format(
        version=findings.version,
        purpose=_PURPOSES[options.preset].format(base=findings.base.manifest.version),
        whom=_EVERYBODY if options.preset is Preset.COMPACT else _OWNER,
        architecture=trained.architecture,
        size=trained.template.size,
        licence=licence(findings.base, options.preset),
        data="\n".join(_data(findings)),
        base=findings.base.manifest.version,
        rates="\n\n".join(_rates(findings)),
        footnote=FOOTNOTE,
        gate=findings.gate.sentence,
        regressions="\n".join(f"- {result.sentence}" for result in findings.regressions)
        or "- Nobody else could be tried.",
        scope=_scope(findings.calibration),
        thresholds="\n\n".join(_thresholds(findings.calibration)),
        parameters="\n".join(_table(("parameter", "value"), flat(plain(trained.config)))),
    )


_PURPOSES: Final = {
    Preset.SEED: "The seed tutorial's Siamese network, trained from nothing",
    Preset.FINETUNE: "A Siamese network that started from the bundle {base}",
    Preset.COMPACT: "A small embedding network, trained from nothing with a margin loss",
}
_OWNER: Final = (
    "It was made for one person, the subject that calibration.json names, and is meant for "
    "verifying that person. For others it is good only as far as the sections below show."
)
_EVERYBODY: Final = (
    "It was made for whoever is enrolled, and is as good for them as they are like the people that "
    "it was trained and measured on."
)


def _data(findings: Findings) -> Iterator[str]:
    sides = split_counts(findings.split, findings.dataset).sides
    rows = (
        (side.value, own.owner_photos, own.owner_groups, own.other_people, own.other_photos)
        for side, own in sides.items()
    )
    head = ("side", "owner's photos", "of these distinct", "other people", "their photos")
    yield from _table(head, rows)


def _rates(findings: Findings) -> Iterator[str]:
    if findings.comparison.note:
        yield findings.comparison.note
    for rates in findings.comparison.rates:
        head = (trials_of(rates), "this bundle", findings.comparison.active.version, "difference")
        yield "\n".join(_table(head, rate_rows(rates)))
    bundles = (findings.comparison.candidate, findings.comparison.active)
    failed = (f"{each.failures.failed} of {each.failures.photos}" for each in bundles)
    yield "Photos of the test side without a usable face: {} (this bundle), {}.".format(*failed)


def _scope(calibration: Calibration) -> str:
    if calibration.subject is None:
        return "The thresholds hold for every subject."
    if not calibration.others:
        return (
            "The thresholds hold for one subject only, the one that calibration.json names. For "
            "anyone else every `max_fmr` is answered with `unsupported_fmr`."
        )
    return (
        "The thresholds were set for one subject, the one that calibration.json names. Other "
        "subjects have thresholds of their own, from people whom training did not see."
    )


def _thresholds(calibration: Calibration) -> Iterator[str]:
    own = "Everyone:" if calibration.subject is None else "The subject:"
    for whose, buckets in ((own, calibration.buckets), ("Everyone else:", calibration.others)):
        rows = list(point_rows(buckets))
        if rows:
            yield "\n".join((whose, "", *_table(POINT_HEAD, rows)))


def _table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield _line(head)
    yield _line(["---"] * len(head))
    yield from (_line(row) for row in rows)


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(str(cell).replace("|", r"\|") for cell in cells) + " |"


_TEXT: Final = """# Model card: {version}

**What it is.** {purpose}: `{architecture}` on faces of {size} x {size} pixels, with a Siamese head.
Detection, quality gates and the face that these look at are those of {base}.

**For whom.** {whom}

**Intended use.** One-to-one verification of cooperative subjects: is the person on this photo the
person enrolled? Not for identification in crowds, surveillance, emotion or attribute inference, and
not as the only factor where a wrong answer does harm. There is **no liveness detection**: a printed
photo or a screen passes.

**Licence.** {licence}

## Data

Photos of whoever ran the job, divided before training; copies and frames of one burst stay on one
side, and so does each of the other people. Near-duplicates count once as distinct.

{data}

## Error rates on the test side

Both bundles on the same trials, which training never saw; 95 % intervals by bootstrap. Photos
without a usable face count as false non-matches.

{rates}

{footnote}

**Gate.** {gate}

**Other people.**

{regressions}

## Calibration

{scope}

{thresholds}

## Limits

The rates are of these photos, and so of a few people, cameras and places. With others they shift,
either way. Relatives, children and groups that the photos
under-represent are confused more often. What was trained on stays in the weights in part: whoever
must forget a person deletes the bundle.

## Hyper-parameters

{parameters}
"""
