"""Curves and histograms as SVG that takes its colours from the page."""

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from io import StringIO
from typing import TYPE_CHECKING, Final

import numpy as np

from app.training.acceptance.comparison_sections import Comparison, Histogram
from app.training.evaluation.plots import det_figure, plot_style, roc_figure
from app.training.report.document import EpochSection
from app.training.report.markup import Html, element, html

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE: Final = (4.8, 3.6)
_SQUARE: Final = (4.8, 4.8)
_COLOURS: Final = {
    "#1f77b4": "var(--one)",
    "#ff7f0e": "var(--two)",
    "#2ca02c": "var(--three)",
    "#7f7f7f": "var(--four)",
    "#b0b0b0": "var(--grid)",
    "#000000": "currentColor",
    "#cccccc": "var(--line)",
    "#ffffff": "var(--page)",
}
"""Colours of matplotlib's own style by what the page calls them."""


def gallery(draw: Callable[[], Sequence[Html]]) -> Html:
    """Pictures side by side where there is room; a remark if matplotlib is missing."""
    if find_spec("matplotlib") is None:
        return element(
            "p", "Without matplotlib there are no pictures: pip install 'facetwin[plots]'"
        )
    return element("div", *draw(), class_="pictures")


def learning_curves(history: Sequence[EpochSection]) -> list[Html]:
    """Loss and validation accuracy per epoch; nothing for a training without epochs."""
    if not history:
        return []
    epochs = [record.epoch for record in history]
    losses = {
        "training": [record.loss for record in history],
        "validation": [record.validation_loss for record in history],
    }
    drawn = [_per_epoch("Loss", epochs, losses)]
    accuracy = [record.validation_accuracy for record in history]
    if any(value is not None for value in accuracy):
        drawn.append(_per_epoch("Validation accuracy", epochs, {"validation": accuracy}))
    return drawn


def histograms(comparison: Comparison) -> list[Html]:
    """Scores of genuine and impostor trials, a picture for each bundle."""
    found = []
    for name, bundle in (("new", comparison.candidate), ("active", comparison.active)):
        if bundle.histogram is not None:
            title = f"Scores of the {name} bundle"
            found.append(_histogram(title, f"scores-{name}", bundle.histogram))
    return found


def error_curves(comparison: Comparison) -> list[Html]:
    """ROC and DET of both bundles."""
    new, active = comparison.candidate.curve, comparison.active.curve
    if new is None or active is None:
        return []
    curves = {"new bundle": new.drawn(), "active bundle": active.drawn()}
    references = comparison.shown_references
    told = (
        f"with {references} reference{'s' * (references != 1)}; the band is the 95 % interval, "
        "dots are rates that too few false matches support. The figures are in the table of rates."
    )
    with plot_style():
        drawn = roc_figure(curves), det_figure(curves)
        for figure in drawn:
            figure.set_size_inches(*_SQUARE)
        return [
            _svg(drawn[0], "roc", f"ROC: true accept rate over false match rate, {told}"),
            _svg(drawn[1], "det", f"DET: FNMR over FMR on normal-deviate axes, {told}"),
        ]


def _per_epoch(
    title: str, epochs: Sequence[int], series: Mapping[str, Sequence[float | None]]
) -> Html:
    from matplotlib.ticker import MaxNLocator

    told = []
    with plot_style():
        figure, axes = _axes(title, "Epoch", title)
        for label, values in series.items():
            known = [(e, v) for e, v in zip(epochs, values, strict=True) if v is not None]
            if known:
                axes.plot(*zip(*known, strict=True), marker="o", markersize=3, label=label)
                told.append(f"{label} from {known[0][1]:.4g} to {known[-1][1]:.4g}")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if told:
            axes.legend()
        name = title.lower().replace(" ", "-")
        return _svg(figure, name, f"{title} by epoch: {', '.join(told) or 'nothing is known'}.")


def _histogram(title: str, name: str, drawn: Histogram) -> Html:
    edges = np.array(drawn.edges)
    told = f"{title}: shares of genuine and impostor trials by score"
    with plot_style():
        figure, axes = _axes(title, "Fused score", "Share of trials")
        axes.stairs(drawn.impostor, edges, label="impostor", color="C7", fill=True, alpha=0.6)
        axes.stairs(drawn.genuine, edges, label="genuine", color="C2", linewidth=1.8)
        if drawn.threshold is not None and drawn.fmr is not None:
            label = f"threshold at FMR {drawn.fmr * 100:g} %"
            axes.axvline(drawn.threshold, color="k", linestyle="--", linewidth=1, label=label)
            told += f"; {label}: {drawn.threshold:.4g}"
        if drawn.not_scored:
            told += f"; {drawn.not_scored} genuine trials without a usable face have no score"
        axes.legend()
        return _svg(figure, name, f"{told}.")


def _axes(title: str, abscissa: str, ordinate: str) -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.set_xlabel(abscissa)
    axes.set_ylabel(ordinate)
    axes.grid(visible=True, alpha=0.3)
    return figure, axes


def _svg(figure: "Figure", name: str, told: str) -> Html:
    """The figure as part of the page, told in words to who can't see it."""
    file = StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    # Pictures share the page, so each needs names of its own.
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{name}-", text)
    for colour, ours in _COLOURS.items():
        text = text.replace(colour, ours)
    text = text.replace("<svg", f'<svg role="img" aria-label="{html(told)}"', 1)
    return element("figure", Html(text), element("figcaption", told))
