"""A viewer's budget of bytes: what is put off, and for whom."""

from __future__ import annotations

from typing import Any

import numpy as np

from actors.zone.budget import Budget

RATE, PATIENCE = 100, 2.0  # 100 bytes at once, and in a second


class Asking:
    """Rows of 10 bytes; `gap` in metres here."""

    def __init__(self, rate: int = RATE, capacity: int = 4) -> None:
        self.budget = Budget(capacity, rate, PATIENCE)

    def pick(self, now: float, viewer: list[int], gap: list[float], **given: Any) -> list[int] | None:
        """The positions of the rows that go; None for all."""
        count = len(viewer)
        picked = self.budget.pick(
            now,
            np.array(viewer),
            np.full(count, given.get("cost", 10)),
            np.isin(np.arange(count), given.get("must", [])),
            np.array(gap, float) ** 2,
            np.array(given.get("waited", [0.0] * count), float),
        )
        return None if picked is None else np.flatnonzero(picked).tolist()


def test_what_fits_goes_without_a_look() -> None:
    asking = Asking()
    assert asking.pick(0.0, [0] * 10 + [1] * 10, [5.0] * 20) is None


def test_the_nearest_go_first() -> None:
    asking = Asking()
    gaps = [9.0, 1.0, 5.0, 3.0, 7.0, 2.0, 6.0, 4.0, 8.0, 10.0, 11.0, 12.0]
    assert asking.pick(0.0, [0] * 12, gaps) == [at for at, gap in enumerate(gaps) if gap <= 10]


def test_it_fills_again_with_time_and_holds_a_second() -> None:
    asking = Asking()
    assert asking.pick(0.0, [0] * 20, [*range(20)]) == [*range(10)]
    assert asking.pick(0.0, [0] * 20, [*range(20)]) == []
    assert asking.pick(0.35, [0] * 20, [*range(20)]) == [0, 1, 2]
    assert asking.pick(60.0, [0] * 20, [*range(20)]) == [*range(10)]


def test_a_clock_that_stands_still_or_goes_back_fills_nothing() -> None:
    asking = Asking()
    asking.pick(10.0, [0] * 20, [*range(20)])
    assert asking.pick(5.0, [0] * 2, [1.0, 2.0]) == []


def test_each_viewer_has_its_own() -> None:
    asking = Asking()
    viewer = [0] * 12 + [2] * 3 + [3] * 11
    gaps = [*range(12), 1, 2, 3, *range(11, 0, -1)]
    assert asking.pick(0.0, viewer, gaps) == [*range(10), 12, 13, 14, *range(16, 26)]


def test_what_must_go_goes_and_makes_no_debt() -> None:
    asking = Asking()
    assert asking.pick(0.0, [0] * 30, [*range(30)], must=[*range(10, 30)]) == [*range(10, 30)]
    assert asking.pick(0.1, [0] * 2, [1.0, 2.0]) == [0]


def test_what_must_go_is_paid_for_first() -> None:
    asking = Asking()
    assert asking.pick(0.0, [0] * 12, [*range(12)], must=[11]) == [*range(9), 11]


def test_who_waited_counts_as_nearer() -> None:
    asking = Asking()
    asking.pick(0.0, [0] * 10, [1.0] * 10)
    gaps, waited = [1.0, 30.0, 20.0], [0.0, 1.95, 0.0]  # 1 m, 0.75 m, 20 m
    assert asking.pick(0.1, [0] * 3, gaps, waited=waited) == [1]


def test_a_row_that_costs_more_than_there_ever_is_waits_until_it_must() -> None:
    asking = Asking(rate=5)
    assert asking.pick(0.0, [0], [1.0]) == []
    assert asking.pick(100.0, [0], [1.0], must=[0]) == [0]


def test_without_a_limit() -> None:
    assert Asking(rate=0).pick(0.0, [0] * 1_000, [1.0] * 1_000) is None
