import numpy as np
import pytest

from app.domain.entities import Pixels
from app.training.adaptation import views
from app.training.adaptation.faces import MARGIN
from app.training.adaptation.views import Jitter, View, cut, degrade

SIZE = 60
SIDE = SIZE + 2 * MARGIN


def dotted(x: int, y: int) -> Pixels:
    """A black wide face with a white dot of 3 x 3 pixels around (x, y) of the aligned face."""
    wide = np.zeros((SIDE, SIDE, 3), np.uint8)
    wide[MARGIN + y - 1 : MARGIN + y + 2, MARGIN + x - 1 : MARGIN + x + 2] = 255
    return wide


def dot(face: Pixels) -> tuple[float, float]:
    """Where the dot of a face lies."""
    light = face[..., 0].astype(np.float64)
    y, x = np.mgrid[: face.shape[0], : face.shape[1]]
    return float((light * x).sum() / light.sum()), float((light * y).sum() / light.sum())


def test_the_plain_view_is_the_aligned_face_itself() -> None:
    wide = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    inner = wide[MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert np.array_equal(cut(wide, View()), inner)
    assert np.array_equal(cut(wide, View(mirrored=True)), inner[:, ::-1])


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (View(shift=(3.0, -2.0)), (43.0, 18.0)),
        (View(scale=1.2), (29.5 + 10.5 * 1.2, 29.5 - 9.5 * 1.2)),
        (View(degrees=90), (29.5 + 9.5, 29.5 + 10.5)),
        (View(shift=(3.0, 0.0), mirrored=True), (SIZE - 1 - 43.0, 20.0)),
    ],
    ids=["shifted", "larger", "turned", "mirrored"],
)
def test_a_view_moves_a_point_as_it_says(view: View, expected: tuple[float, float]) -> None:
    assert dot(cut(dotted(40, 20), view)) == pytest.approx(expected, abs=0.1)


def test_drawn_views_stay_in_their_ranges_and_use_them() -> None:
    jitter = Jitter(scale=(0.9, 1.2), shift=3.0, degrees=5.0)
    random = np.random.default_rng(3)
    drawn = [jitter.draw(random) for _ in range(400)]
    scales = [view.scale for view in drawn]
    assert 0.9 <= min(scales) < 0.92
    assert 1.18 < max(scales) <= 1.2
    assert max(max(np.abs(view.shift)) for view in drawn) <= 3
    assert 4.8 < max(abs(view.degrees) for view in drawn) <= 5
    assert 150 < sum(view.mirrored for view in drawn) < 250


@pytest.mark.parametrize("kind", views._KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_worse_photo_differs_and_stays_a_photo(kind: views.Degrade) -> None:
    face = np.random.default_rng(2).integers(0, 256, (150, 150, 3), np.uint8)
    worse = kind(face, np.random.default_rng(4))
    assert worse.shape == face.shape
    assert worse.dtype == np.uint8
    assert np.abs(worse.astype(int) - face).mean() > 5


def test_a_worse_photo_is_the_same_for_the_same_seed() -> None:
    face = np.random.default_rng(2).integers(0, 256, (150, 150, 3), np.uint8)
    first, again, other = (degrade(face, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
