"""What a player's views tell of a world that is reshaped under it, and when the benchmark falls short."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.bench.border_checks import FAULTS
from cluster.bench.reshape_checks import Sight, gaps_ms, shortcomings
from rayrealm_client.view import Reset, View

HZ = 20.0


def sight(epoch: int = 4, tick: int = 1_000, ack: int = 500) -> Sight:
    """Who was told everything at time 0."""
    made = Sight(HZ)
    made.saw(0.0, View(tick, ack, reset=Reset("zon_a", epoch, 1)))
    return made


class TestGaps:
    def test_the_longest_one_counts(self) -> None:
        seen = sight()
        for at, tick in ((0.05, 1_001), (0.35, 1_007), (0.4, 1_008)):
            seen.saw(at, View(tick, 500))
        assert seen.gap_s(0.41) == pytest.approx(0.3)

    def test_one_that_is_open_at_the_end_counts(self) -> None:
        assert sight().gap_s(7.0) == 7.0

    def test_one_that_began_before_counts_whole(self) -> None:
        seen = sight()
        seen.saw(9.0, View(1_001, 500))
        seen.begin()
        assert seen.gap_s(9.01) == pytest.approx(0.01)
        seen.saw(9.6, View(1_012, 500))
        assert seen.gap_s(9.61) == pytest.approx(0.6)

    def test_who_has_seen_nothing_yet_has_none(self) -> None:
        assert Sight(HZ).gap_s(100.0) == 0.0

    def test_figures_are_over_all_players(self) -> None:
        assert gaps_ms([0.06] * 199 + [0.4]) == {"p50": 60, "p99": 60, "max": 400}
        assert gaps_ms([]) == {"p50": 0, "p99": 0, "max": 0}


class TestOldViews:
    def test_a_stream_and_its_next_owner(self) -> None:
        seen = sight()
        seen.saw(0.05, View(1_001, 501))
        seen.saw(0.10, View(1_002, 501))
        seen.saw(0.60, View(1, 490, reset=Reset("zon_a", 5, 1)))  # a killed one may have forgotten moves
        seen.saw(0.65, View(2, 491))
        assert (seen.old_views, seen.resets) == (0, 2)

    def test_a_late_view_is_not_old(self) -> None:
        seen = sight()
        seen.saw(2.0, View(1_040, 520))
        seen.saw(2.0, View(1_041, 520))
        seen.saw(2.001, View(1_080, 560))
        assert seen.old_views == 0

    @pytest.mark.parametrize(
        "view",
        [
            View(1_003, 501),  # the one before, of the zone's new owner, was at tick 2
            View(2, 491),  # again
            View(1, 491),
            View(3, 489),  # a move that was judged is not any more
            View(3, 491, reset=Reset("zon_a", 4, 1)),
        ],
    )
    def test_a_word_of_the_one_before(self, view: View) -> None:
        seen = sight()
        seen.saw(0.6, View(1, 490, reset=Reset("zon_a", 5, 1)))
        seen.saw(0.65, View(2, 490))
        seen.saw(0.7, view)
        assert seen.old_views == 1

    def test_each_zone_has_epochs_of_its_own(self) -> None:
        seen = sight(epoch=9)
        seen.saw(0.05, View(7, 501, reset=Reset("zon_b", 1, 3)))
        seen.saw(0.10, View(1_010, 502, reset=Reset("zon_a", 9, 3)))
        assert seen.old_views == 0


GOOD: dict[str, Any] = {
    "event": "split zon_land",
    "by_command": True,
    "bar_ms": 500,
    "gap_ms": {"p50": 60, "p99": 300, "max": 500},
    "population": 10,
    "new_logins": 0,
    "old_epoch_views": 0,
    "faults": {},
    "faults_after": {},
    "looks": 3,
    "old_process": "",
    "trouble": "",
}


@pytest.mark.parametrize(
    "changes",
    [
        {"gap_ms": {"p50": 60, "p99": 300, "max": 501}},
        {"population": 9},
        {"population": 11},
        {"new_logins": 1},
        {"old_epoch_views": 1},
        {"looks": 0},
        {"old_process": "runs on"},
        {"trouble": "3 were never told of the zone's new owner"},
        *(
            {"faults": {fault: 1}}
            for fault in ("doubled", "oneself", "refused", "own_missing", "corrections", "ack_back")
        ),
        *({"faults_after": {fault: 1}} for fault in FAULTS),
    ],
)
def test_it_falls_short_by_each_of_them(changes: dict[str, Any]) -> None:
    assert len(shortcomings(10, [GOOD, GOOD | changes])) == 1


def test_what_is_good_enough() -> None:
    kill = {"by_command": False, "faults": {"corrections": 3, "ack_back": 10}, "old_process": "ended"}
    assert shortcomings(10, [GOOD, GOOD | kill]) == []
    assert shortcomings(10, [GOOD | {"faults": {"missing": 0}}]) == []
