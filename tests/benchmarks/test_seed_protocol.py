import numpy as np
import pytest

from app.domain.calibration import Calibration, OperatingPoint
from app.domain.decisions import Decider
from app.domain.scoring import L1Head, ScoreName
from app.training.embedding_set import EmbeddingSet
from app.training.metrics import Interval
from benchmarks.seed_protocol_embedding import CLEAN, WAYS, Embedded, Seen
from benchmarks.seed_protocol_rates import (
    Scores,
    error_rounds,
    interval,
    own_threshold,
    rate_interval,
    scores,
    tar_rounds,
)
from benchmarks.seed_protocol_rows import DEGRADED, PROBES, Row, rows
from tests.training.people import people


def decider() -> Decider:
    return Decider(ScoreName.COSINE, L1Head(np.ones(16, np.float32), 1.0), "mean", Calibration({}))


def test_the_threshold_lets_just_as_many_impostors_through() -> None:
    impostor = np.arange(100, dtype=np.float32)[None]
    genuine = np.array([[98.5, 97.5, -np.inf, 200.0]], np.float32)
    # At 1 % one of 100 may match, 99; so 98 is the first that must not.
    assert tar_rounds(Scores(genuine, impostor), 0.01, 0)[0] == pytest.approx(2 / 4)
    assert tar_rounds(Scores(genuine, impostor), 0.02, 0)[0] == pytest.approx(3 / 4)
    assert tar_rounds(Scores(genuine, impostor), 0.001, 0)[0] == pytest.approx(1 / 4)


def test_equal_bundles_differ_in_no_round() -> None:
    found = Scores(
        np.random.default_rng(0).normal(1, 1, (3, 20)).astype(np.float32),
        np.random.default_rng(1).normal(0, 1, (3, 50)).astype(np.float32),
    )
    difference = tar_rounds(found, 0.1, 7) - tar_rounds(found, 0.1, 7)
    assert not difference.any()
    assert interval(difference).low == 0


def test_unusable_photos_fail_as_probes_and_are_no_impostors() -> None:
    owner, others = people(1, 8), people(30, 1, seed=3)
    owner.usable[0] = others.usable[:10] = False
    found = scores(decider(), owner, owner, others, count=3, seed=0)
    assert np.isneginf(found.genuine[:, 0]).all()
    assert np.isfinite(found.genuine[:, 1:]).all()
    assert np.isneginf(found.impostor[:, :10]).all()
    # Two of the 20 that count may match, not three of the 30 that were tried.
    impostor = np.array([[*range(20), *[-np.inf] * 10]], np.float32)
    genuine = np.array([[18.5, 17.5, 16.5]], np.float32)
    assert tar_rounds(Scores(genuine, impostor), 0.1, 0)[0] == pytest.approx(2 / 3)


def test_errors_are_counted_at_the_threshold() -> None:
    impostor = np.array([[0.0, 1.0, 2.0, -np.inf]], np.float32)
    genuine = np.array([[2.0, 1.5, -np.inf, 3.0]], np.float32)
    fnmr, fmr = error_rounds(Scores(genuine, impostor), 2.0, 0)
    assert fnmr[0] == pytest.approx(2 / 4)
    assert fmr[0] == pytest.approx(1 / 3)
    assert interval(fnmr).low < 2 / 4 < interval(fnmr).high


def test_what_was_never_seen_is_not_excluded() -> None:
    never, always = np.zeros(1001), np.ones(1001)
    assert rate_interval(never, 100).high == pytest.approx(0.037, abs=0.001)
    assert rate_interval(always, 100).low == pytest.approx(0.963, abs=0.001)
    assert rate_interval(always * 0.5, 100) == Interval(0.5, 0.5, 0.5)


def test_a_bundle_without_a_price_has_no_threshold() -> None:
    point = OperatingPoint(0.01, 0.7, 0.01, (0.008, 0.012), 0.1, (0.05, 0.2), 50, 20)
    priced = Decider(
        ScoreName.COSINE,
        L1Head(np.ones(16, np.float32), 1.0),
        "mean",
        Calibration({"1": [point]}),
    )
    assert own_threshold(priced, "owner", 1, 0.01) == 0.7
    assert own_threshold(priced, "owner", 1, 0.001) is None
    assert own_threshold(priced, "owner", 50, 0.01) is None


def _seen(photos: EmbeddingSet) -> Seen:
    return Seen(photos.embeddings, photos.usable)


def _bundle(spread: float) -> Embedded:
    owner = _seen(people(1, 40, spread=spread))
    others = _seen(people(200, 1, seed=3))
    ways = (CLEAN, *(way.name for way in WAYS))
    return Embedded(decider(), owner, dict.fromkeys(ways, owner), dict.fromkeys(ways, others))


def test_rows_hold_each_bundle_against_the_first() -> None:
    found = {"default": _bundle(2.5), "better": _bundle(0.5)}
    table = {(row.bundle, row.probes, row.references): row for row in rows(found, "owner")}
    assert len(table) == 2 * len(PROBES) * 3
    own = table["default", CLEAN, 1]
    assert own.gain[0.01] == Interval(0, 0, 0)
    assert own.fnmr is None
    better = table["better", CLEAN, 1]
    assert better.gain[0.01].low > 0
    assert better.gain[0.01].value == pytest.approx(better.tar[0.01].value - own.tar[0.01].value)
    # All ways are alike here, so their mean is any of them.
    mean = table["better", DEGRADED, 1].tar[0.01]
    assert (mean.value, mean.low) == pytest.approx((better.tar[0.01].value, better.tar[0.01].low))
    assert len(better.cells()) == 9


def test_cells_are_in_percent() -> None:
    rate = Interval(0.5, 0.25, 0.75)
    row = Row(
        "default",
        CLEAN,
        1,
        rate,
        None,
        dict.fromkeys((0.01, 0.001), rate),
        {
            0.01: rate,
            0.001: rate,
        },
    )
    assert row.cells()[3:6] == ("50.0 (25.0 to 75.0)", "-", "50.0 (25.0 to 75.0)")
