"""ROC and DET plots as SVG files that are equal, byte for byte, for equal rates."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from app.domain.errors import InvalidRequestError
from app.training.evaluation.curves import Comparisons, RateCurve, Rates, rate_curve
from app.training.evaluation.intervals import ROUNDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DEVIATE: Final = np.vectorize(NormalDist().inv_cdf, otypes=[np.float64])
_DET_TICKS: Final = (1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5, 0.8)


@dataclass(frozen=True, slots=True)
class PlotFolder:
    """Where plots go."""

    path: Path

    @classmethod
    def open(cls, path: Path | None) -> "PlotFolder | None":
        """Check, before anything is computed, that plots can be drawn and stored.

        Raises:
            InvalidRequestError: If matplotlib is missing or the folder can't be made.
        """
        if path is None:
            return None
        if find_spec("matplotlib") is None:
            raise InvalidRequestError(
                "Plots need matplotlib, which is not installed. Run: pip install 'facetwin[plots]'"
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidRequestError(
                f"{path} can't be used as a folder for plots: {error.strerror}."
            ) from None
        return cls(path)

    def write(self, sets: Mapping[str, Comparisons], *, seed: int) -> list[str]:
        """Draw `roc.svg` and `det.svg`, a curve for each set of comparisons by its label.

        Returns:
            The paths of the files.

        Raises:
            InvalidRequestError: If a file can't be written.
        """
        curves = {
            label: rate_curve(comparisons, rounds=ROUNDS, seed=seed)
            for label, comparisons in sets.items()
        }
        with plot_style():
            figures = {"roc.svg": roc_figure(curves), "det.svg": det_figure(curves)}
            return [self._save(figure, name) for name, figure in figures.items()]

    def _save(self, figure: "Figure", name: str) -> str:
        path = self.path / name
        try:
            # The version and the date would make equal plots differ.
            figure.savefig(path, metadata={"Date": None, "Creator": "Facetwin"})
        except OSError as error:
            raise InvalidRequestError(f"{path} can't be written: {error.strerror}.") from None
        return str(path)


def roc_figure(curves: Mapping[str, RateCurve]) -> "Figure":
    """TAR over FMR with a logarithmic FMR axis.

    As in `det_figure`, each curve has its 95 % band, and is dotted where it is not supported by
    enough false matches.
    """
    figure, axes = _axes("Receiver operating characteristic", "True accept rate (1 - FNMR)")
    for label, curve in curves.items():
        _draw(axes, label, curve, (curve.fmr, 1 - curve.fnmr, 1 - curve.high, 1 - curve.low))
    axes.set_xscale("log")
    axes.set_ylim(top=1.0)
    axes.legend(loc="lower right")
    return figure


def det_figure(curves: Mapping[str, RateCurve]) -> "Figure":
    """FNMR over FMR, both on normal-deviate axes (Martin et al., "The DET curve", 1997)."""
    figure, axes = _axes("Detection error trade-off", "False non-match rate")
    # A handful of pairs has no rate below a tenth, and the axes need room.
    least = min(0.1, *(float(curve.fmr[0]) for curve in curves.values()))
    for label, curve in curves.items():
        rates = (curve.fmr, curve.fnmr, curve.low, curve.high)
        _draw(axes, label, curve, tuple(deviates(each, least) for each in rates))
    ticks = [tick for tick in _DET_TICKS if tick >= least]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(list(deviates(np.array(ticks), least)), [f"{tick:g}" for tick in ticks])
    limits = deviates(np.array([least, 0.8]), least)
    axes.set_xlim(*limits)
    axes.set_ylim(*limits)
    axes.legend(loc="upper right")
    return figure


def _draw(axes: "Axes", label: str, curve: RateCurve, shape: tuple[Rates, ...]) -> None:
    """Draw abscissa, ordinate and the two ends of the band."""
    across, up, low, high = shape
    weak = curve.fmr <= curve.supported
    solid = np.where(weak, np.nan, up)
    (line,) = axes.plot(across, solid, label=label)
    axes.plot(across[weak], up[weak], ":", color=line.get_color())
    axes.fill_between(across, low, high, alpha=0.2, color=line.get_color(), lw=0)


def deviates(rates: Rates, least: float) -> Rates:
    """Rates as normal deviates; those too near to 0 or 1 to be drawn are put at `least` from it."""
    return np.asarray(_DEVIATE(np.clip(rates, least, 1 - least)), np.float64)


def _axes(title: str, ordinate: str) -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.set_xlabel("False match rate")
    axes.set_ylabel(ordinate)
    axes.grid(visible=True, alpha=0.3)
    return figure, axes


@contextmanager
def plot_style() -> Iterator[Any]:
    """Matplotlib's own defaults, whatever the user's matplotlibrc says, and ours over them."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"svg.hashsalt": "facetwin", "svg.fonttype": "none"})
        yield mpl.rcParams
