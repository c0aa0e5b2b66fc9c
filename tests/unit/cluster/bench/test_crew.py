"""Gaps in views, and who walks, with a clock that stands until it is moved."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from cluster.bench.crew import GAP_S, BotStats, Crew, Recovery


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def views(bot: BotStats, clock: Clock, until: float, every: float = 0.05) -> None:
    while clock.now < until:
        clock.now = round(clock.now + every, 6)
        bot.saw(bot.views + 1)


class TestGaps:
    def test_a_steady_stream_has_none(self, clock: Clock) -> None:
        bot = BotStats("b", clock=clock)
        views(bot, clock, 110.0)
        assert bot.gaps(0.0) == []
        assert bot.views == 200

    def test_from_the_last_view_before_to_the_first_after(self, clock: Clock) -> None:
        bot = BotStats("b", clock=clock)
        views(bot, clock, 101.0)
        clock.now = 102.5
        views(bot, clock, 103.0)
        assert bot.gaps(0.0) == [pytest.approx(1.55)]

    def test_one_that_has_not_ended_counts_so_far(self, clock: Clock) -> None:
        bot = BotStats("b", clock=clock)
        views(bot, clock, 101.0)
        clock.now += GAP_S
        assert bot.gaps(0.0) == []
        clock.now += 1.0
        assert bot.gaps(0.0) == [pytest.approx(1.0 + GAP_S)]

    def test_only_those_that_end_after_the_fault(self, clock: Clock) -> None:
        bot = BotStats("b", clock=clock)
        for start in (101.0, 103.0):
            views(bot, clock, start)
            clock.now += 1.0
            bot.saw(bot.views + 1)
        assert len(bot.gaps(0.0)) == 2
        assert len(bot.gaps(102.5)) == 1
        assert bot.gaps(105.0) == []

    def test_what_is_kept_is_bounded(self, clock: Clock) -> None:
        bot = BotStats("b", clock=clock)
        for _ in range(1_000):
            clock.now += 1.0
            bot.saw(1)
        assert len(bot.gaps(0.0)) == 256

    def test_none_before_the_first_view(self, clock: Clock) -> None:
        assert BotStats("b", clock=clock).gaps(0.0) == []


class TestWalking:
    def test_views_alone_are_no_walk(self, clock: Clock) -> None:
        bot = BotStats("b", clock=clock)
        assert not bot.walking(1.0)
        bot.saw(1)
        assert bot.walking(1.0)
        for _ in range(30):
            clock.now += 0.05
            bot.saw(1)  # seen, but nothing of its own is judged
        assert not bot.walking(1.0)
        bot.saw(2)
        assert bot.walking(1.0)

    def test_all_of_them(self, clock: Clock) -> None:
        crew = Crew(clock)
        assert not crew.all_walking(1.0)
        first, second = crew.add("a"), crew.add("b")
        first.saw(1)
        assert not crew.all_walking(1.0)
        second.saw(1)
        assert crew.all_walking(1.0)
        clock.now += 1.01
        first.saw(2)
        assert not crew.all_walking(1.0)
        assert crew.worst_gaps(0.0) == [pytest.approx(1.01), pytest.approx(1.01)]

    def test_a_summary(self, clock: Clock) -> None:
        crew = Crew(clock)
        bot = crew.add("a")
        crew.summary()
        for _ in range(40):
            clock.now += 0.05
            bot.saw(bot.views + 1)
        bot.reconnects = 3
        summary = crew.summary()
        assert (summary["bots"], summary["walking"], summary["reconnects"]) == (1, 1, 3)
        assert summary["views_per_s"] == 20.0


def test_recovery_figures() -> None:
    assert (Recovery((), True).p50_s, Recovery((), True).max_s) == (0.0, 0.0)
    recovery = Recovery((0.5, 1.0, 3.0), True)
    assert (recovery.hit, recovery.p50_s, recovery.max_s) == (3, 1.0, 3.0)
