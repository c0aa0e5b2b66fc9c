"""Figures of recoveries, and whether they keep to what was promised."""

from __future__ import annotations

from cluster.chaos.measure import BARS, Recovery, by_kind, over_the_bar
from cluster.chaos.verdict import figures


def test_figures_are_milliseconds() -> None:
    assert figures([0.1, 0.25, 1.0]) == {"p50": 250, "max": 1_000}
    assert figures([]) == {"p50": None, "max": None}
    assert Recovery((0.5, 1.5), 2).as_dict() == {"hit": 2, "missed": 2, "p50": 1_000, "max": 1_500, "stall": 0}


def test_faults_of_a_kind_count_together() -> None:
    measured = [("zone", Recovery((1.0, 2.0))), ("drain", Recovery(())), ("zone", Recovery((3.0,)))]
    assert by_kind(measured) == {"zone": {"p50": 2_000, "max": 3_000}, "drain": {"p50": None, "max": None}}


def test_the_bars() -> None:
    assert BARS["gateway"] == (1_000, 3_000)
    kept = {"gateway": {"p50": 1_000, "max": 3_000}, "presence": {"p50": 99_999, "max": 99_999}}
    assert over_the_bar(kept) == []
    assert over_the_bar({"drain": {"p50": None, "max": None}, "zone": {"p50": None, "max": None}}) == []
    told = over_the_bar({"zone": {"p50": 100, "max": 4_001}, "redis_restart": {"p50": 3_001, "max": 3_500}})
    assert len(told) == 2
    assert "max 4001 ms" in told[0]


def test_a_frozen_zone_with_a_standby_is_held_to_the_standby() -> None:
    slow = {"freeze": {"p50": 400, "max": 600}}
    assert over_the_bar(slow) == []
    assert over_the_bar(slow, standby=True) == ["freeze: p50 400 ms, max 600 ms; 500 and 500 are allowed"]
    assert len(over_the_bar({kind: {"p50": 501, "max": 501} for kind in ("standby", "split", "merge", "move")})) == 4
