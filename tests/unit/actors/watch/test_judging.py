"""What follows from what was seen: levels, hysteresis, escalation, whom never."""

from __future__ import annotations

import pytest

from actors.watch.judging import MEMORY_S, MONITOR_S, PATIENCE_S, Judge
from actors.watch.patterns import Hit, Pattern
from cluster.measures import Level, Measure
from cluster.security_settings import AbuseSettings

SETTINGS = AbuseSettings(slow_s=60.0, block_s=300.0, ban_s=3_600.0)
NOW = 10_000.0


def pattern(action: Level, name: str = "flood") -> Pattern:
    return Pattern(name, "user", ("x",), 10.0, 10.0, action)


def hit(action: Level, strength: float = 1.0, name: str = "flood") -> Hit:
    return Hit(pattern(action, name), 10.0 * strength)


@pytest.fixture
def judge() -> Judge:
    return Judge(SETTINGS)


def levels(measures: list[Measure]) -> list[str]:
    return [m.level.name for m in measures]


def one(judge: Judge, found: Hit, now: float, role: str = "player") -> list[str]:
    return levels(judge.judge("user", "usr_a", role, [found], now))


def test_nothing_was_found(judge: Judge) -> None:
    assert judge.judge("user", "usr_a", "player", [], NOW) == []
    assert len(judge) == 0


@pytest.mark.parametrize(("action", "for_s"), [(Level.SLOW, 60.0), (Level.BLOCK, 300.0), (Level.BAN, 3_600.0)])
def test_a_measure(judge: Judge, action: Level, for_s: float) -> None:
    (measure,) = judge.judge("user", "usr_a", "player", [hit(action, 1.5)], NOW)
    assert measure == Measure("user", "usr_a", action, "flood", NOW, NOW + for_s, 15.0, 10.0)
    assert judge.level("user", "usr_a", NOW + for_s - 1.0) == action
    assert judge.level("user", "usr_a", NOW + for_s) == Level.NONE
    assert judge.level("user", "usr_b", NOW) == Level.NONE
    assert judge.level("address", "usr_a", NOW) == Level.NONE


def test_it_is_not_done_twice(judge: Judge) -> None:
    assert one(judge, hit(Level.BLOCK), NOW) == ["BLOCK"]
    assert one(judge, hit(Level.BLOCK), NOW + 5.0) == []
    assert one(judge, hit(Level.SLOW), NOW + 5.0) == [], "nor something less"


def test_below_the_threshold_nothing_begins(judge: Judge) -> None:
    assert one(judge, hit(Level.BLOCK, 0.9), NOW) == []


def test_it_ends_only_when_it_is_well_below(judge: Judge) -> None:
    assert one(judge, hit(Level.SLOW), NOW) == ["SLOW"]
    assert one(judge, hit(Level.SLOW, 0.8), NOW + 30.0) == [], "it holds anyway"
    assert one(judge, hit(Level.SLOW, 0.8), NOW + 61.0) == ["SLOW"]
    assert one(judge, hit(Level.SLOW, 0.8), NOW + 61.0 + 60.0 + PATIENCE_S + 1.0) == [], "that was a new beginning"
    assert one(judge, hit(Level.SLOW, 0.8, "another"), NOW + 150.0) == []


def test_who_goes_on_gets_the_next_harder_one(judge: Judge) -> None:
    assert one(judge, hit(Level.SLOW), NOW) == ["SLOW"]
    assert one(judge, hit(Level.SLOW), NOW + PATIENCE_S - 1.0) == []
    assert one(judge, hit(Level.SLOW), NOW + PATIENCE_S) == ["BLOCK"]


def test_a_score_is_no_proof(judge: Judge) -> None:
    assert one(judge, hit(Level.SLOW, name="unusual_flood"), NOW) == ["SLOW"]
    assert one(judge, hit(Level.SLOW, name="unusual_flood"), NOW + PATIENCE_S) == []


def test_after_a_block_comes_a_ban(judge: Judge) -> None:
    assert one(judge, hit(Level.BLOCK), NOW) == ["BLOCK"]
    assert one(judge, hit(Level.BLOCK), NOW + 301.0) == ["BAN"]


def test_a_block_is_forgiven_in_the_end(judge: Judge) -> None:
    assert one(judge, hit(Level.BLOCK), NOW) == ["BLOCK"]
    judge.sweep(NOW + MEMORY_S)
    assert len(judge) == 1
    assert one(judge, hit(Level.BLOCK), NOW + MEMORY_S) == ["BLOCK"]
    judge.sweep(NOW + 3 * MEMORY_S)
    assert len(judge) == 0


def test_the_worst_counts(judge: Judge) -> None:
    found = [hit(Level.SLOW, 9.0, "a"), hit(Level.BLOCK, 1.0, "b"), hit(Level.BAN, 0.9, "c")]
    (measure,) = judge.judge("user", "usr_a", "player", found, NOW)
    assert (measure.level, measure.reason) == (Level.BLOCK, "b")


@pytest.mark.parametrize("role", ["operator", "moderator"])
def test_staff_is_only_watched(judge: Judge, role: str) -> None:
    for after_s in (0.0, 400.0, 800.0):
        assert set(one(judge, hit(Level.BAN, 100.0), NOW + after_s, role)) <= {"MONITOR"}
        assert judge.level("user", "usr_a", NOW + after_s) == Level.NONE


def test_somebody_watched_is_written_down_now_and_then(judge: Judge) -> None:
    assert one(judge, hit(Level.MONITOR), NOW) == ["MONITOR"]
    assert one(judge, hit(Level.MONITOR), NOW + 5.0) == []
    assert one(judge, hit(Level.MONITOR, name="another"), NOW + 5.0) == ["MONITOR"]
    assert one(judge, hit(Level.MONITOR), NOW + MONITOR_S) == ["MONITOR"]
    assert one(judge, hit(Level.SLOW), NOW + 6.0) == ["SLOW"], "it keeps nobody from being judged"


def test_lifted(judge: Judge) -> None:
    assert one(judge, hit(Level.BLOCK), NOW) == ["BLOCK"]
    assert judge.lift("user", "usr_a") is True
    assert judge.lift("user", "usr_a") is False
    assert judge.level("user", "usr_a", NOW) == Level.NONE
    assert one(judge, hit(Level.BLOCK), NOW + 1.0) == ["BLOCK"], "not a ban: nothing is held against it"


def test_restored(judge: Judge) -> None:
    (before,) = judge.judge("user", "usr_a", "player", [hit(Level.BLOCK)], NOW)
    after = Judge(SETTINGS)
    after.restore(before)
    assert after.level("user", "usr_a", NOW + 299.0) == Level.BLOCK
    assert one(after, hit(Level.BLOCK), NOW + 5.0) == []
    assert one(after, hit(Level.BLOCK), NOW + 301.0) == ["BAN"]


def test_how_many_were_blocked(judge: Judge) -> None:
    for user in ("usr_a", "usr_b"):
        judge.judge("user", user, "player", [hit(Level.BLOCK)], NOW)
    judge.judge("user", "usr_c", "player", [hit(Level.SLOW)], NOW)
    everybody = ("usr_a", "usr_b", "usr_c", "usr_d")
    assert judge.blocked_lately(everybody, NOW + 1.0) == 2
    assert judge.blocked_lately(everybody, NOW + MEMORY_S) == 0
