"""The circuit breaker: when it opens, who may try, and what does not count."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from cluster.breaker import Breaker
from cluster.errors import Unavailable
from cluster.operator_settings import BreakerSettings
from cluster.telemetry.counts import BREAKER_REFUSED, BREAKER_TRIPS, BREAKERS_OPEN, Tally

SETTINGS = BreakerSettings(failures=3, open_s=1.0)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def _counts_as_they_were() -> Iterator[None]:
    counts: list[Tally] = [BREAKER_REFUSED, BREAKER_TRIPS, BREAKERS_OPEN]
    kept = [dict(each) for each in counts]
    yield
    for each, before in zip(counts, kept, strict=True):
        each.clear()
        each.update(before)


def made(clock: Clock, least_s: float = 0.0) -> Breaker:
    return Breaker("redis", "redis", SETTINGS, clock, least_s)


def opened(clock: Clock) -> Breaker:
    breaker = made(clock)
    for _ in range(3):
        assert not breaker.enter()
        breaker.failed()
    assert not breaker.closed
    return breaker


def test_failures_in_a_row_open_it(clock: Clock) -> None:
    breaker = made(clock)
    for _ in range(2):
        breaker.failed()
    breaker.succeeded()  # not in a row
    for _ in range(2):
        breaker.failed()
    assert breaker.closed
    breaker.failed()
    with pytest.raises(Unavailable, match="redis is not available") as refused:
        breaker.enter()
    assert refused.value.retry_after_s == pytest.approx(1.0)
    clock.now += 0.7
    with pytest.raises(Unavailable) as refused:
        breaker.enter()
    assert refused.value.retry_after_s == pytest.approx(0.3)


def test_one_call_tries_when_the_pause_is_over(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now += 1.0
    assert breaker.enter()
    for _ in range(5):
        with pytest.raises(Unavailable):
            breaker.enter()
    breaker.succeeded()
    assert breaker.closed
    assert not breaker.enter()


def test_a_try_that_fails_makes_others_wait_once_more(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now += 1.0
    tried = breaker.enter()
    clock.now += 0.5
    breaker.failed(tried)
    clock.now += 0.9
    with pytest.raises(Unavailable):
        breaker.enter()
    clock.now += 0.2
    assert breaker.enter()


def test_a_try_that_never_ends_is_not_the_last_one(clock: Clock) -> None:
    """Its task was cancelled: it said nothing."""
    breaker = opened(clock)
    clock.now += 1.0
    assert breaker.enter()
    clock.now += 1.1
    assert breaker.enter()


def test_calls_that_began_before_do_not_keep_it_open(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now += 0.9
    breaker.failed()
    clock.now += 0.2
    assert breaker.enter()


def test_an_answer_to_a_call_that_began_before_closes_it(clock: Clock) -> None:
    breaker = opened(clock)
    breaker.succeeded()
    assert breaker.closed


def test_many_calls_that_end_together_are_one_short_interruption(clock: Clock) -> None:
    breaker = made(clock, least_s=0.5)
    for _ in range(50):
        breaker.failed()
    assert breaker.closed
    clock.now += 0.5
    breaker.failed()
    assert not breaker.closed


def test_it_is_counted_and_said_once_each_way(clock: Clock) -> None:
    before = BREAKER_TRIPS["redis"], BREAKER_REFUSED["redis"], BREAKERS_OPEN["redis"]
    with capture_logs() as logs:
        breaker = opened(clock)
        for _ in range(4):
            with pytest.raises(Unavailable):
                breaker.enter()
        assert BREAKERS_OPEN["redis"] == before[2] + 1
        clock.now += 1.0
        breaker.failed(breaker.enter())
        clock.now += 1.0
        breaker.enter()
        breaker.succeeded()
        breaker.close()
    assert [entry["event"] for entry in logs] == ["breaker_opened", "breaker_closed"]
    assert BREAKER_TRIPS["redis"] == before[0] + 1
    assert BREAKER_REFUSED["redis"] == before[1] + 4
    assert BREAKERS_OPEN["redis"] == before[2]
