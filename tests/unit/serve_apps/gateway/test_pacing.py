"""Attaches come at a bounded rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_apps.gateway.pacing import BURST_S, Pacer


def test_a_few_do_not_wait() -> None:
    pacer = Pacer(100.0, 50)
    assert [pacer.reserve(10.0) for _ in range(10)] == [0.0] * 10


def test_a_storm_waits_its_turn_and_the_rest_is_told_when() -> None:
    pacer = Pacer(100.0, 50)
    waits = [pacer.reserve(10.0) for _ in range(200)]
    let_in = [wait for wait in waits if wait is not None]
    assert let_in == sorted(let_in)
    assert 50 <= len(let_in) <= 50 + BURST_S * 100 + 2
    assert max(let_in) <= 50 / 100.0 + 1e-9
    assert waits[-1] is None
    assert 0.5 <= pacer.clear_s(10.0) <= 0.52
    assert pacer.reserve(10.2) is not None, "the queue is shorter by then"


def test_silence_is_not_saved_up() -> None:
    pacer = Pacer(10.0, 1_000)
    pacer.reserve(0.0)
    waits = [pacer.reserve(1_000.0) for _ in range(21)]
    assert waits[-1] == pytest.approx(20 / 10.0 - BURST_S)


def test_without_a_queue_nobody_waits() -> None:
    pacer = Pacer(10.0, 0)
    assert [pacer.reserve(5.0), pacer.reserve(5.0), pacer.reserve(5.0)] == [0.0, 0.0, None]


@given(
    st.floats(1.0, 1_000.0),
    st.integers(0, 100),
    st.lists(st.floats(0.0, 1.0), min_size=1, max_size=200),
)
def test_never_more_than_the_rate_begins(rate: float, waiting: int, pauses: list[float]) -> None:
    pacer, now, begins = Pacer(rate, waiting), 100.0, list[float]()
    for pause in pauses:
        now += pause
        wait = pacer.reserve(now)
        if wait is not None:
            assert 0.0 <= wait <= waiting / rate + 1e-5
            begins.append(now + wait)
    for first, begin in enumerate(begins):
        within = sum(begin <= other < begin + 1.0 for other in begins[first:])
        assert within <= rate * (1.0 + BURST_S) + 2
