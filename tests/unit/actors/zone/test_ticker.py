"""A fixed rate without drift."""

from __future__ import annotations

import random

import pytest

from actors.zone.ticker import Ticker

PERIOD = 0.05


def test_ticks_are_due_at_multiples_of_the_period() -> None:
    ticker = Ticker(PERIOD, 100.0)
    assert ticker.after(100.01) == pytest.approx(0.04)
    assert ticker.after(100.05 + 0.02) == pytest.approx(0.03)


def test_no_drift_over_an_hour_of_uneven_work() -> None:
    rng = random.Random(1)
    ticker, now, ticks = Ticker(PERIOD, 0.0), 0.0, 0
    while now < 3600:
        now += rng.uniform(0.0, 0.06)  # sometimes longer than a period
        now += ticker.after(now) + rng.uniform(0.0, 0.001)  # a sleep is never exact
        ticks += 1
    assert ticker.skipped == 0
    assert ticks == pytest.approx(3600 / PERIOD, abs=2)


def test_a_late_tick_is_followed_at_once() -> None:
    ticker = Ticker(PERIOD, 0.0)
    assert ticker.after(0.07) == 0.0
    assert ticker.after(0.075) == pytest.approx(0.025)  # back in step
    assert ticker.skipped == 0


def test_ticks_that_cannot_be_kept_are_skipped_and_counted() -> None:
    ticker = Ticker(PERIOD, 0.0)
    assert ticker.after(1.03) == 0.0
    assert ticker.skipped == 19  # those due at 0.05 ... 0.95; the one of 1.0 is late and runs
    assert ticker.after(1.04) == pytest.approx(0.01)
    assert ticker.skipped == 19


def test_after_a_long_stop_no_burst_follows() -> None:
    ticker, now, ticks = Ticker(PERIOD, 0.0), 60.0, 0
    while now < 61.0 - 1e-9:
        now += ticker.after(now)
        ticks += 1
    assert ticks <= 22
    assert ticker.skipped == pytest.approx(1199, abs=1)
