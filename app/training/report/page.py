"""report.html: one page that needs no network and runs no script."""

import re
from collections.abc import Mapping
from typing import Final

from app.domain.training import Judgement
from app.training.datasets import Side
from app.training.report.data_section import data_section, split_section
from app.training.report.document import RefusalDocument, ReportDocument, VerdictSection
from app.training.report.errors_section import errors_section
from app.training.report.faces import Picture
from app.training.report.figures import error_curves, gallery, histograms
from app.training.report.markup import Html, element, items, joined, section
from app.training.report.rates_section import calibration_section, gate_section, side_by_side
from app.training.report.style import STYLE
from app.training.report.training_section import options_section, training_section

_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def report_page(report: ReportDocument, faces: Mapping[int, Picture]) -> str:
    """The page of a job that trained.

    Args:
        report: All that is told.
        faces: Pictures of the hardest errors, by row of the sample.
    """
    comparison = report.comparison
    return _page(
        f"Training report: {report.version}",
        _verdict(report.verdict, _about(report)),
        side_by_side(comparison),
        gate_section(report.gate, report.regressions),
        section("Scores", element("p", _SCALES), gallery(lambda: histograms(comparison))),
        section("ROC and DET", gallery(lambda: error_curves(comparison))),
        errors_section(report.hardest_errors, faces),
        calibration_section(report.calibration.calibration()),
        data_section(report.data),
        split_section(report.split),
        training_section(report.training),
        options_section(report.training.options, report.training.hyper_parameters),
    )


def refusal_page(report: RefusalDocument) -> str:
    """The page of a job whose photos were refused."""
    return _page(
        "Training report: photos refused",
        _verdict(report.verdict, "What was found in the photos is below."),
        data_section(report.data),
        options_section(report.options),
    )


_SCALES: Final = (
    "Each bundle scores on a scale of its own; what counts is how far genuine and impostor trials "
    "are apart."
)


def _page(title: str, *content: Html) -> str:
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="robots", content="noindex"),
        element("title", title),
        element("style", Html(STYLE)),
    )
    verdict, *parts = content
    body = element("body", element("main", verdict, _contents(joined(parts)), *parts))
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _contents(parts: Html) -> Html:
    """Links to the sections."""
    links = (
        element("a", Html(title), href=f"#{name}")
        for name, title in re.findall(r'<h2 id="([^"]+)">([^<]+)</h2>', parts)
    )
    return element("nav", items(links), aria_label="Contents")


def _about(report: ReportDocument) -> str:
    side, training = report.split.sides[Side.TRAIN], report.training
    return (
        f"Preset {training.options['preset']}; for training there were {side.owner_photos:,} "
        f"photos of the owner and {side.other_photos:,} of {side.other_people:,} other people; "
        f"{training.seconds / 60:.1f} minutes."
    )


def _verdict(verdict: VerdictSection, about: str) -> Html:
    looks = {
        Judgement.BETTER: "better",
        Judgement.INDISTINGUISHABLE: "even",
        Judgement.WORSE: "worse",
        None: "worse",
    }
    return element(
        "header",
        element("h1", verdict.sentence),
        items(verdict.reasons),
        element("p", about, class_="soft"),
        class_=f"verdict {looks[verdict.judgement]}",
    )
