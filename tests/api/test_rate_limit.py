from typing import Any

import pytest
from pydantic import SecretStr

from app.api.errors import RateLimitedError
from app.api.rate_limit import MAX_CALLERS, Buckets, RateLimits, address_of
from app.domain.access import Caller, Role
from app.settings import Settings
from tests.api.service import Service
from tests.api.test_errors import check_problem

RIGHT, OTHER = "the-right-key-of-two", "the-other-key-of-two"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_burst_is_ten_seconds_worth_and_then_the_rate_holds(clock: Clock) -> None:
    buckets = Buckets(60, clock=clock)

    assert [buckets.take("a") for _ in range(10)] == [0.0] * 10
    assert buckets.take("a") == pytest.approx(1.0)
    clock.now += 1.0
    assert buckets.take("a") == 0
    assert buckets.take("a") > 0


def test_over_time_no_more_than_the_rate_gets_through(clock: Clock) -> None:
    buckets = Buckets(60, clock=clock)
    through = 0
    for _ in range(6000):
        clock.now += 0.1
        through += not buckets.take("a")

    assert 600 <= through <= 611


def test_even_a_small_rate_lets_one_through(clock: Clock) -> None:
    buckets = Buckets(1, clock=clock)

    assert buckets.take("a") == 0
    assert buckets.take("a") == pytest.approx(60)


def test_callers_do_not_share_a_bucket_and_zero_sets_no_limit(clock: Clock) -> None:
    buckets = Buckets(1, clock=clock)
    assert [buckets.take(name) for name in "abc"] == [0.0] * 3

    unlimited = Buckets(0, clock=clock)
    assert {unlimited.take("a") for _ in range(1000)} == {0.0}
    assert len(unlimited) == 0


def test_memory_is_bounded_and_the_quietest_is_forgotten_first(clock: Clock) -> None:
    buckets = Buckets(1, clock=clock)
    for i in range(MAX_CALLERS + 5):
        buckets.take(str(i))

    assert len(buckets) == MAX_CALLERS
    assert buckets.wait("4") == 0
    assert buckets.wait("5") > 0


def test_looking_takes_nothing(clock: Clock) -> None:
    buckets = Buckets(1, clock=clock)

    assert [buckets.wait("a") for _ in range(5)] == [0.0] * 5
    assert buckets.take("a") == 0


@pytest.mark.parametrize(
    ("client", "counts_as"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("2001:db8:1:2::9", 1), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1), "fe80::/64"),
        (("testclient", 1), "testclient"),
        (("x" * 1000, 1), "x" * 64),
        (None, ""),
    ],
)
def test_what_an_address_counts_as(client: tuple[str, int] | None, counts_as: str) -> None:
    assert address_of(client) == counts_as


def test_the_wait_is_told_in_whole_seconds(clock: Clock) -> None:
    limits = RateLimits(Settings(rate_limit_per_key=600), clock=clock)
    caller = Caller("key:1", Role.ADMIN)
    for _ in range(100):
        limits.check_caller(caller)

    with pytest.raises(RateLimitedError) as refused:
        limits.check_caller(caller)
    assert refused.value.extra["retry_after"] == 1


def _service(settings: Settings, **update: Any) -> Service:
    keys = tuple(SecretStr(f"admin:{key}") for key in (RIGHT, OTHER))
    return Service(settings.model_copy(update={"api_keys": keys, **update}))


def _status(service: Service, key: str, address: str = "127.0.0.1") -> int:
    service.client_address = address
    return service.get("/version", headers={"X-API-Key": key}).status_code


def test_a_key_is_limited_wherever_it_calls_from(settings: Settings) -> None:
    with _service(settings, rate_limit_per_key=12) as service:
        statuses = [_status(service, RIGHT, f"192.0.2.{i}") for i in range(3)]
        refused = service.get("/version", headers={"X-API-Key": RIGHT})

        assert statuses == [200, 200, 429]
        body = check_problem(refused, "rate_limited")
        assert int(refused.headers["Retry-After"]) == body["retry_after"] >= 1
        assert _status(service, OTHER) == 200


def test_an_address_is_limited_whatever_key_it_sends(settings: Settings) -> None:
    with _service(settings, rate_limit_per_address=12) as service:
        assert [_status(service, key, "192.0.2.1") for key in (RIGHT, OTHER)] == [200, 200]
        assert _status(service, RIGHT, "192.0.2.1") == 429
        assert _status(service, RIGHT, "192.0.2.2") == 200
        assert service.get("/healthz").status_code == service.get("/readyz").status_code == 200


def test_guessing_is_slowed_down_and_right_keys_are_not(settings: Settings) -> None:
    with _service(settings, rate_limit_failures=12) as service:
        assert [_status(service, f"guess-{i}", "192.0.2.1") for i in range(2)] == [401, 401]
        refused = service.get("/version", headers={"X-API-Key": "guess"})
        keyless = service.get("/version")
        assert _status(service, RIGHT, "192.0.2.1") == 200
        assert _status(service, "guess-2", "192.0.2.2") == 401
        assert service.get("/healthz").status_code == 200

    body = check_problem(refused, "rate_limited")
    assert int(refused.headers["Retry-After"]) == body["retry_after"] >= 1
    check_problem(keyless, "rate_limited")


def test_right_keys_do_not_count_as_failures(settings: Settings) -> None:
    with _service(settings, rate_limit_failures=6) as service:
        assert {_status(service, RIGHT) for _ in range(10)} == {200}


def test_without_keys_the_address_is_limited(settings: Settings) -> None:
    limited = settings.model_copy(update={"rate_limit_per_address": 12})
    with Service(limited) as service:
        statuses = [service.get("/version").status_code for _ in range(3)]

    assert statuses == [200, 200, 429]
