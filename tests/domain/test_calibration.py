import pytest

from app.domain.calibration import Calibration, OperatingPoint, bucket_of
from app.domain.errors import UnsupportedFmrError


def point(target: float, threshold: float) -> OperatingPoint:
    return OperatingPoint(
        target, threshold, target, (target / 2, target * 2), 0.1, (0, 0.2), 50, 20
    )


CALIBRATION = Calibration({"1": (point(0.1, 0.5), point(0.01, 0.7), point(0.001, 0.8))})


@pytest.mark.parametrize(
    ("references", "bucket"),
    [
        (1, "1"),
        (2, "2"),
        (3, "3-5"),
        (5, "3-5"),
        (6, "6-10"),
        (10, "6-10"),
        (11, "11+"),
        (999, "11+"),
    ],
)
def test_buckets(references: int, bucket: str) -> None:
    assert bucket_of(references) == bucket


def test_no_references_fall_in_no_bucket() -> None:
    with pytest.raises(ValueError, match="no bucket"):
        bucket_of(0)


@pytest.mark.parametrize(
    ("max_fmr", "threshold"), [(0.5, 0.5), (0.1, 0.5), (0.05, 0.7), (0.01, 0.7), (0.002, 0.8)]
)
def test_between_calibrated_rates_the_stricter_threshold_is_taken(
    max_fmr: float, threshold: float
) -> None:
    assert CALIBRATION.operating_point(max_fmr, 1).threshold == threshold


def test_a_rate_beyond_the_calibration_is_refused_and_the_strictest_is_named() -> None:
    with pytest.raises(UnsupportedFmrError) as caught:
        CALIBRATION.operating_point(1e-6, 1)
    assert caught.value.extra["strictest_supported"] == 0.001


def test_a_bucket_without_calibration_supports_nothing() -> None:
    with pytest.raises(UnsupportedFmrError) as caught:
        CALIBRATION.operating_point(0.1, 4)
    assert caught.value.extra["strictest_supported"] is None


OWN = Calibration(
    {"1": (point(0.01, 0.4), point(0.001, 0.5))}, subject="anna", others={"1": (point(0.1, 0.6),)}
)


def test_a_calibration_about_everyone_is_the_same_for_each() -> None:
    assert CALIBRATION.about("anna") is CALIBRATION
    assert CALIBRATION.about(None) is CALIBRATION


def test_the_subject_has_thresholds_of_its_own() -> None:
    assert OWN.about("anna").operating_point(0.1, 1).threshold == 0.4
    assert OWN.about("anna").operating_point(0.001, 1).threshold == 0.5


@pytest.mark.parametrize("other", ["bert", None])
def test_other_subjects_have_what_is_known_of_others(other: str | None) -> None:
    assert OWN.about(other).operating_point(0.1, 1).threshold == 0.6
    with pytest.raises(UnsupportedFmrError, match="calibrated on the subject anna only") as caught:
        OWN.about(other).operating_point(0.01, 1)
    assert caught.value.extra["strictest_supported"] == 0.1


def test_where_nothing_is_known_of_others_no_rate_is_supported_for_them() -> None:
    alone = Calibration(OWN.buckets, subject="anna")
    with pytest.raises(UnsupportedFmrError, match="on the subject anna only"):
        alone.about("bert").operating_point(0.5, 1)


@pytest.mark.parametrize(("max_fmr", "supported"), [(0.1, True), (0.001, True), (1e-4, False)])
def test_a_rate_is_supported_if_it_is_for_anyone(max_fmr: float, supported: bool) -> None:
    turned = Calibration(OWN.others, subject="anna", others=OWN.buckets)
    assert OWN.supports(max_fmr) is supported
    assert turned.supports(max_fmr) is supported
