import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from app.domain.errors import InvalidRequestError
from app.training.evaluation.curves import rate_curve
from app.training.evaluation.plots import PlotFolder, det_figure, deviates, roc_figure
from tests.training.evaluation.test_curves import random

SETS = {
    "first set": random(300, 3000, steps=100, seed=1),
    "second": random(90, 900, steps=9, seed=2),
}


def opened(path: Path) -> PlotFolder:
    folder = PlotFolder.open(path)
    assert folder is not None
    return folder


def test_plots_are_complete_and_equal_byte_for_byte(tmp_path: Path) -> None:
    names = opened(tmp_path / "new" / "plots").write(SETS, seed=1)
    assert [Path(name).name for name in names] == ["roc.svg", "det.svg"]
    again = opened(tmp_path / "again").write(SETS, seed=1)
    for name, other in zip(names, again, strict=True):
        svg = Path(name).read_bytes()
        assert svg == Path(other).read_bytes()
        texts = {e.text for e in ET.fromstring(svg).iter() if e.tag.endswith("}text")}
        assert {"False match rate", "first set", "second"} <= texts
        assert b"dc:date" not in svg
    assert (
        Path(names[0]).read_bytes()
        != Path(
            opened(tmp_path / "other").write({"first set": SETS["first set"]}, seed=1)[0]
        ).read_bytes()
    )


def test_the_users_own_style_changes_nothing(tmp_path: Path) -> None:
    import matplotlib as mpl

    (plain, *_) = opened(tmp_path / "a").write(SETS, seed=1)
    with mpl.rc_context({"lines.linewidth": 9, "svg.fonttype": "path"}):
        (styled, *_) = opened(tmp_path / "b").write(SETS, seed=1)
        assert mpl.rcParams["lines.linewidth"] == 9
    assert Path(plain).read_bytes() == Path(styled).read_bytes()


def test_axes_and_curves() -> None:
    curve = rate_curve(SETS["first set"], rounds=20, seed=1, points=50)
    (roc,) = roc_figure({"a": curve}).axes
    assert (roc.get_xscale(), roc.get_yscale()) == ("log", "linear")
    solid, dotted = roc.lines
    across, up = (np.asarray(data, float) for data in solid.get_data())
    firm = curve.fmr > curve.supported
    assert across.tolist() == curve.fmr.tolist()
    assert up[firm].tolist() == (1 - curve.fnmr)[firm].tolist()
    assert np.isnan(up[~firm]).all()
    assert np.asarray(dotted.get_data()[0]).tolist() == curve.fmr[~firm].tolist()
    (det,) = det_figure({"a": curve}).axes
    across, up = (np.asarray(data, float) for data in det.lines[0].get_data())
    inner = firm & (curve.fmr < 0.9) & (curve.fnmr > 0.001)
    assert inner.any()
    # On a DET plot two normal distributions of one spread give a line of slope -1.
    slope = np.polyfit(across[inner], up[inner], 1)[0]
    assert slope == pytest.approx(-1, abs=0.2)
    assert len(det.collections) == 1  # the band


def test_normal_deviates() -> None:
    found = deviates(np.array([0.5, 0.0227501, 0, 1]), 1e-3)
    assert found == pytest.approx([0, -2, -3.0902, 3.0902], abs=1e-3)


def test_a_missing_matplotlib_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.training.evaluation.plots.find_spec", lambda _: None)
    with pytest.raises(InvalidRequestError, match=r"pip install 'facetwin\[plots\]'"):
        PlotFolder.open(tmp_path / "plots")
    assert PlotFolder.open(None) is None
    assert not (tmp_path / "plots").exists()


def test_a_folder_that_cant_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidRequestError, match="can't be used as a folder for plots"):
        PlotFolder.open(tmp_path / "file" / "plots")
    folder = opened(tmp_path / "plots")
    (tmp_path / "plots" / "det.svg").mkdir()
    with pytest.raises(InvalidRequestError, match=r"det.svg can't be written"):
        folder.write({"a": SETS["second"]}, seed=1)


def test_a_single_impostor_pair_is_drawn_too(tmp_path: Path) -> None:
    names = opened(tmp_path).write({"tiny": random(4, 1, steps=9, seed=3)}, seed=1)
    assert all(b"tiny" in Path(name).read_bytes() for name in names)
