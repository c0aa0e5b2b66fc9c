"""A token bucket as one number."""

from __future__ import annotations

import pytest

from cluster.security_settings import Rate
from cluster.token_bucket import Bucket, bottomless, bucket


def taken(made: Bucket, count: int, now: float = 0.0) -> int:
    return sum(made.take(now) == 0.0 for _ in range(count))


@pytest.mark.parametrize("burst", [1, 3, 120])
def test_a_burst_and_no_more(burst: int) -> None:
    assert taken(Bucket(10.0, burst), burst + 5) == burst


def test_how_long_to_wait_and_then_it_is_there() -> None:
    made = Bucket(4.0, 2)
    assert taken(made, 2) == 2
    assert made.take(0.0) == pytest.approx(0.25, rel=0.003)
    assert made.take(0.125) == pytest.approx(0.125, rel=0.01)
    assert made.take(0.249) > 0.0
    assert made.take(0.25) == 0.0
    assert made.take(0.25) > 0.0


def test_it_fills_up_to_the_burst() -> None:
    made = Bucket(4.0, 3)
    assert taken(made, 3) == 3
    assert taken(made, 9, now=1_000_000.0) == 3


def test_refused_ones_use_nothing_up() -> None:
    made = Bucket(1.0, 1)
    assert taken(made, 100) == 1
    assert made.take(1.0) == 0.0


def test_what_costs_more_is_a_debt() -> None:
    made = Bucket(1.0, 2)
    assert made.take(0.0, cost=5) == 0.0
    assert made.take(0.0) == pytest.approx(4.0, rel=0.003)
    assert made.take(3.9) > 0.0
    assert made.take(4.0) == 0.0


def test_a_lower_rate_gives_nothing_extra() -> None:
    made = Bucket(10.0, 20)
    assert taken(made, 30) == 20
    made.set(1.0, 2)
    assert taken(made, 5) == 0
    assert taken(made, 5, now=1.0) == 1


def test_a_clock_that_goes_back_gives_nothing_extra() -> None:
    made = Bucket(1.0, 2)
    assert taken(made, 3, now=100.0) == 2
    assert taken(made, 3, now=50.0) == 0


def test_of_a_setting() -> None:
    rate = Rate(per_s=10.0, burst=5)
    assert taken(bucket(rate), 20) == 5
    assert taken(bucket(rate, 2.0), 20) == 10
    assert taken(bucket(rate, 0.01), 20) == 1
    assert taken(bottomless(), 10_000) == 10_000
