import pytest

from app.domain.calibration import BUCKETS, Buckets, Calibration, OperatingPoint
from app.domain.prices import lost_prices

RATE = 0.001
ALL = tuple(BUCKETS)


def priced(*names: str, rate: float = RATE) -> Buckets:
    point = OperatingPoint(rate, 0.5, rate, (rate / 2, rate * 2), 0.1, (0, 0.2), 50, 20)
    return dict.fromkeys(names, (point,))


FOR_ALL = Calibration(priced(*ALL))
ANNA = Calibration(priced(*ALL), "anna")
BEN = Calibration(priced(*ALL), "ben")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (FOR_ALL, FOR_ALL),
        (ANNA, FOR_ALL),
        (ANNA, ANNA),
        (FOR_ALL, Calibration(priced(*ALL), "anna", priced(*ALL))),
        # Nothing that was never there is lost.
        (Calibration(priced(*ALL, rate=0.01)), ANNA),
        (Calibration(priced("1")), Calibration(priced("1", "2"))),
    ],
)
def test_what_costs_nothing_is_no_warning(old: Calibration, new: Calibration) -> None:
    assert lost_prices(old, new, RATE) == ()


@pytest.mark.parametrize(
    ("old", "new", "losers"),
    [
        (FOR_ALL, ANNA, "everybody but anna with any number of references; /compare"),
        (
            FOR_ALL,
            Calibration(priced(*ALL), "anna", priced("1", "2")),
            "everybody but anna with 3-5, 6-10 or 11+ references (still priced with 1 or 2)",
        ),
        (
            FOR_ALL,
            Calibration(priced("1", "2", "3-5", "6-10"), "anna", priced(*ALL)),
            "anna with 11+ references (still priced with 1, 2, 3-5 or 6-10)",
        ),
        # Someone for whom nothing is priced fares like everybody.
        (FOR_ALL, Calibration({}, "anna"), "everybody with any number of references; /compare"),
        (ANNA, BEN, "anna with any number of references"),
        (
            ANNA,
            Calibration(priced("1"), "anna"),
            "anna with 2, 3-5, 6-10 or 11+ references (still priced with 1)",
        ),
        (
            Calibration(priced(*ALL), "anna", priced(*ALL)),
            BEN,
            "everybody but ben with any number of references; /compare",
        ),
        (
            Calibration(priced("1", "2"), "anna", priced("1")),
            Calibration(priced("2")),
            "everybody with 1 reference (still priced with 2); /compare",
        ),
        (
            FOR_ALL,
            Calibration(priced(*ALL, rate=0.01)),
            "everybody with any number of references; /compare",
        ),
    ],
)
def test_who_loses_a_price_is_named_in_a_line(
    old: Calibration, new: Calibration, losers: str
) -> None:
    (warning,) = lost_prices(old, new, RATE)
    assert f"as the one before could, for: {losers}. They are" in warning
    assert "FACETWIN_MAX_FMR=0.001" in warning
