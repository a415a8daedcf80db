import numpy as np
import pytest

from app.training.metrics import (
    Interval,
    bootstrap_weights,
    equal_error_rate,
    for_others,
    identity_rate_interval,
    pair_rate_interval,
    tar_at_fmr,
    threshold_at_fmr,
)


def scores(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, np.float32)


IMPOSTOR = scores(*np.arange(100) / 100)


@pytest.mark.parametrize(
    ("target", "matches"), [(0.1, 10), (0.05, 5), (0.01, 1), (0.001, 0), (1, 100)]
)
def test_the_threshold_lets_in_what_the_target_allows(target: float, matches: int) -> None:
    assert np.count_nonzero(threshold_at_fmr(IMPOSTOR, target) <= IMPOSTOR) == matches


def test_ties_never_exceed_the_target() -> None:
    tied = scores(*[0.5] * 10, *[0.1] * 90)
    assert np.count_nonzero(tied >= threshold_at_fmr(tied, 0.05)) == 0


def test_true_accept_rate() -> None:
    assert tar_at_fmr(scores(0.5, 0.985, 0.995, 2.0), IMPOSTOR, 0.01) == 0.75


def test_equal_error_rate_by_hand() -> None:
    assert equal_error_rate(scores(0.4, 0.6, 0.7, 0.9), scores(0.1, 0.2, 0.3, 0.5)) == 0.25
    assert equal_error_rate(scores(1, 2), scores(-1, 0)) == 0
    assert equal_error_rate(scores(-1, 0), scores(1, 2)) == 1


def test_ties_meet_in_the_middle() -> None:
    assert equal_error_rate(scores(1, 1), scores(1, 1)) == 0.5


def test_no_false_match_does_not_prove_a_rate_of_zero() -> None:
    trials = np.full((20, 20), 5.0)
    found = pair_rate_interval(np.zeros((20, 20)), trials, bootstrap_weights(20, 100, 1))
    assert found.value == found.low == 0
    assert found.high == pytest.approx(-np.log(0.025) / 200)


def test_the_interval_covers_what_it_promises_for_skewed_rates() -> None:
    """Errors of few people: the true rate lies inside at least as often as plain percentiles."""
    generator = np.random.default_rng(8)
    inside = 0
    for round_ in range(150):
        rates = generator.gamma(0.3, 0.1 / 0.3, size=40).clip(0, 1)
        hits = generator.binomial(200, rates).astype(np.float64)
        found = identity_rate_interval(hits, np.full(40, 200.0), bootstrap_weights(40, 400, round_))
        inside += found.low <= 0.1 <= found.high
    assert inside / 150 > 0.88


def test_each_bootstrap_round_draws_as_many_identities_as_there_are() -> None:
    weights = bootstrap_weights(7, 50, seed=1)
    assert weights.shape == (50, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert (weights == bootstrap_weights(7, 50, seed=1)).all()


def test_a_pair_rate_and_its_interval() -> None:
    generator = np.random.default_rng(5)
    identities = 60
    trials = np.full((identities, identities), 10.0)
    np.fill_diagonal(trials, 0)
    hits = generator.random((identities, identities, 10)) < 0.1
    counts = hits.sum(axis=2) * (trials > 0)
    found = pair_rate_interval(
        counts.astype(np.float64), trials, bootstrap_weights(identities, 500, 1)
    )
    assert found.value == pytest.approx(0.1, abs=0.01)
    assert found.low < 0.1 < found.high
    # Even where nothing depends on the person it is not narrower than for 35,400 coin tosses.
    tosses = 2 * 1.96 * np.sqrt(0.09 / 35400)
    assert tosses < found.high - found.low < 2 * tosses


def test_the_interval_widens_when_errors_come_from_few_identities() -> None:
    weights = bootstrap_weights(50, 500, 1)
    trials = np.full(50, 20.0)
    spread, lumped = np.full(50, 2.0), np.zeros(50)
    lumped[:5] = 20
    even, uneven = (identity_rate_interval(h, trials, weights) for h in (spread, lumped))
    assert even.value == uneven.value == 0.1
    assert even.low == pytest.approx(even.high)
    assert uneven.high - uneven.low > 0.1


def test_an_interval_for_others_holds_another_groups_rate() -> None:
    generator = np.random.default_rng(1)
    logs = generator.normal(np.log(0.001), 0.3, (4000, 2))
    own, other = np.exp(logs[:, 0]), np.exp(logs[:, 1])
    half = np.exp(1.96 * 0.3)
    plain = [Interval(rate, rate / half, rate * half) for rate in own]
    held = [
        [i.low <= rate <= i.high for i, rate in zip(each, other, strict=True)]
        for each in (plain, [for_others(i) for i in plain])
    ]
    assert np.mean(held, axis=1) == pytest.approx([0.834, 0.95], abs=0.02)


def test_an_interval_for_others_keeps_nothing_and_ends_at_one() -> None:
    assert for_others(Interval(0.0, 0.0, 0.1)) == Interval(0.0, 0.0, 0.1)
    assert for_others(Interval(0.8, 0.0, 0.99)) == Interval(0.8, 0.0, 1.0)
