"""How long a player was without a view."""

from __future__ import annotations

from cluster.chaos.gaps import ViewGaps


def seen(*times: float) -> ViewGaps:
    gaps = ViewGaps()
    for t in times:
        gaps.saw(t)
    return gaps


def test_the_longest_that_ended_since() -> None:
    gaps = seen(1.0, 1.5, 1.75, 2.0)
    assert gaps.longest(0.0, 2.0) == 0.5
    assert gaps.longest(1.6, 2.0) == 0.25
    assert gaps.longest(1.2, 2.0) == 0.5  # it began before, and ended after


def test_one_that_has_not_ended_counts() -> None:
    assert seen(1.0, 1.5).longest(1.25, 4.5) == 3.0
    assert seen().longest(0.0, 9.0) == 0.0


def test_who_is_away_by_its_own_will_misses_none() -> None:
    gaps = seen(1.0, 1.25)
    gaps.pause()
    assert gaps.longest(0.0, 9.0) == 0.25
    gaps.saw(9.0)
    gaps.saw(9.5)
    assert gaps.longest(2.0, 9.5) == 0.5
