"""Which moves become the truth. 8 m/s with a tolerance of 1.25: a budget that fills at 10 m/s, up to 10 m."""

from __future__ import annotations

import math

import numpy as np
import pytest

from actors.zone.entities import Entity, EntityTable
from actors.zone.movement import NOT_FINITE, OK, OUT_OF_BOUNDS, REASONS, STALE_SEQUENCE, TOO_FAST, Rules, judge, newest
from actors.zone.rows import MOVE_IN
from cluster.settings import Bounds, MovementSettings

BOUNDS = Bounds(min_x=0, min_z=0, max_x=100, max_z=100)
SETTINGS = MovementSettings(max_speed=8.0, tolerance=1.25, budget_s=1.0, min_y=-5.0, max_y=20.0)
RULES = Rules.of(BOUNDS, SETTINGS)

Place = tuple[float, float, float]


def table_of(*places: Place, sequence: int = 0, budget: float = RULES.budget_cap, now: float = 0.0) -> EntityTable:
    table = EntityTable(max(4, len(places)))
    for name, (x, y, z) in enumerate(places):
        number = table.next_number()
        entity = Entity(number, 1, f"ent_{name}", "player", "", f"ses_{name}", "usr", f"chr_{name}", "gtw", 1)
        table.add(entity, x, y, z, 0.0, sequence, budget, now)
    return table


def rows(*moves: tuple[int, int, float, float, float, float]) -> np.ndarray:
    return np.array(list(moves), MOVE_IN)


def try_one(table: EntityTable, at: Place, sequence: int = 1, now: float = 0.0, yaw: float = 0.0) -> int:
    return int(judge(table, RULES, rows((0, sequence, *at, yaw)), now)[0])


def test_the_limits_of_a_zone() -> None:
    assert RULES.low.tolist() == [0, -5, 0]
    assert RULES.high.tolist() == [100, 20, 100]
    assert (RULES.speed, RULES.budget_cap) == (10.0, 10.0)


def test_verdicts_have_the_reasons_of_the_protocol() -> None:
    verdicts = (OK, STALE_SEQUENCE, NOT_FINITE, OUT_OF_BOUNDS, TOO_FAST)
    assert [REASONS[v] for v in verdicts] == ["ok", "stale_sequence", "not_finite", "out_of_bounds", "too_fast"]


def test_a_good_move_is_the_truth() -> None:
    table = table_of((50, 0, 50))
    assert try_one(table, (53, 0.5, 54), 9, now=0.0, yaw=1.5) == OK
    assert table.position[0].tolist() == [53, 0.5, 54]
    assert (table.yaw[0], table.sequence[0]) == (1.5, 9)
    assert table.budget[0] == pytest.approx(10 - math.sqrt(9 + 16 + 0.25))


@pytest.mark.parametrize(
    ("at", "yaw", "verdict"),
    [
        ((math.nan, 0, 50), 0.0, NOT_FINITE),
        ((50, math.inf, 50), 0.0, NOT_FINITE),
        ((50, 0, -math.inf), 0.0, NOT_FINITE),
        ((50, 0, 50), math.nan, NOT_FINITE),
        ((50, 0, 50), math.inf, NOT_FINITE),
        ((-0.5, 0, 50), 0.0, OUT_OF_BOUNDS),
        ((50, 0, 100.5), 0.0, OUT_OF_BOUNDS),
        ((50, -5.5, 50), 0.0, OUT_OF_BOUNDS),
        ((50, 20.5, 50), 0.0, OUT_OF_BOUNDS),
        ((3e38, 0, 50), 0.0, OUT_OF_BOUNDS),
        ((60.5, 0, 50), 0.0, TOO_FAST),
        ((50, 10.5, 50), 0.0, TOO_FAST),
    ],
)
def test_a_refused_move_leaves_the_truth_alone(at: Place, yaw: float, verdict: int) -> None:
    table = table_of((50, 0, 50))
    assert try_one(table, at, 5, yaw=yaw) == verdict
    assert table.position[0].tolist() == [50, 0, 50]
    assert table.yaw[0] == 0.0
    assert table.budget[0] == 10.0
    assert table.sequence[0] == 5, "it was judged, and is acknowledged with a correction"
    assert try_one(table, (50, 0, 51), 6) == OK


@pytest.mark.parametrize("at", [(0, -5, 0), (100, 20, 100), (0, 0, 100)])
def test_borders_belong_to_the_zone(at: Place) -> None:
    assert try_one(table_of(at), at) == OK


def test_a_border_that_float32_does_not_know() -> None:
    """A client that walks along the edge sends the edge as float32, which may lie beyond it."""
    rules = Rules.of(Bounds(min_x=0.1, min_z=-3.3, max_x=200.1, max_z=77.7), SETTINGS)
    assert float(np.float32(200.1)) > 200.1
    for x, z in ((0.1, -3.3), (200.1, 77.7), (0.1, 77.7)):
        table = table_of((x, 0, z))
        assert judge(table, rules, rows((0, 1, x, 0, z, 0)), 0.0).tolist() == [OK]
        outside = float(np.nextafter(np.float32(x), np.float32(-1e9 if x < 1 else 1e9)))
        assert judge(table, rules, rows((0, 2, outside, 0, z, 0)), 0.0).tolist() == [OUT_OF_BOUNDS]


@pytest.mark.parametrize(
    ("sequence", "verdict"), [(6, OK), (2**32 - 1, OK), (5, STALE_SEQUENCE), (1, STALE_SEQUENCE), (0, STALE_SEQUENCE)]
)
def test_only_a_newer_sequence_counts(sequence: int, verdict: int) -> None:
    table = table_of((50, 0, 50), sequence=5)
    assert try_one(table, (51, 0, 50), sequence) == verdict
    assert table.sequence[0] == max(5, sequence)
    assert table.position[0, 0] == (51 if verdict == OK else 50)


def test_a_stale_move_is_called_stale_whatever_else_is_wrong() -> None:
    assert try_one(table_of((50, 0, 50), sequence=5), (math.nan, 0, 5_000), 5) == STALE_SEQUENCE


class TestSpeed:
    def test_walking_at_the_limit_for_a_minute(self) -> None:
        table, x, now = table_of((0, 0, 50)), 0.0, 0.0
        for sequence in range(1, 101):
            now += 0.1
            x += 1.0
            assert try_one(table, (x, 0, 50), sequence, now) == OK

    def test_running_too_fast_is_refused_once_the_budget_is_spent(self) -> None:
        """15 m/s for as long as 10 m of budget last: two seconds."""
        table, now, verdicts = table_of((0, 0, 50)), 0.0, []
        for sequence in range(1, 41):
            now += 0.1
            x = float(table.position[0, 0]) + 1.5
            verdicts.append(try_one(table, (x, 0, 50), sequence, now))
        assert verdicts[:18] == [OK] * 18
        assert TOO_FAST in verdicts
        assert float(table.position[0, 0]) <= 10 + 10 * now, "no faster than the limit in the long run"

    def test_late_and_bunched_packets_are_no_crime(self) -> None:
        """Half a second of moves that arrive together, then regular ones."""
        table, x = table_of((0, 0, 50)), 0.0
        for sequence in range(1, 6):
            x += 1.0
            assert try_one(table, (x, 0, 50), sequence, now=0.5) == OK
        for step in range(1, 6):
            x += 1.0
            assert try_one(table, (x, 0, 50), 5 + step, now=0.5 + step / 10) == OK

    def test_standing_still_saves_up_no_more_than_the_cap(self) -> None:
        table = table_of((0, 0, 50))
        assert try_one(table, (10.5, 0, 50), 1, now=3600.0) == TOO_FAST
        assert try_one(table, (10.0, 0, 50), 2, now=3600.0) == OK
        assert try_one(table, (10.5, 0, 50), 3, now=3600.0) == TOO_FAST

    def test_time_that_runs_backwards_takes_nothing_away(self) -> None:
        table = table_of((0, 0, 50), now=100.0)
        assert try_one(table, (9, 0, 50), 1, now=50.0) == OK
        assert table.budget[0] == pytest.approx(1.0)

    def test_climbing_counts(self) -> None:
        table = table_of((0, 0, 50))
        assert try_one(table, (0, 11, 50), 1) == TOO_FAST

    def test_a_refused_move_costs_nothing(self) -> None:
        table = table_of((0, 0, 50))
        for sequence in range(1, 20):
            assert try_one(table, (50, 0, 50), sequence) == TOO_FAST
        assert try_one(table, (10, 0, 50), 20) == OK

    def test_a_budget_above_the_cap_after_an_outage(self) -> None:
        """What a restored zone grants is kept until it is used, and does not grow."""
        table = table_of((0, 0, 50), budget=40.0)
        assert try_one(table, (41, 0, 50), 1, now=100.0) == TOO_FAST
        assert try_one(table, (35, 0, 50), 2, now=100.0) == OK
        assert try_one(table, (41, 0, 50), 3, now=100.0) == TOO_FAST
        assert try_one(table, (45, 0, 50), 4, now=200.0) == OK
        assert try_one(table, (46, 0, 50), 5, now=200.0) == TOO_FAST


def test_entities_are_judged_apart() -> None:
    table = table_of((10, 0, 10), (20, 0, 20), (30, 0, 30))
    verdicts = judge(table, RULES, rows((2, 1, 31, 0, 30, 0), (0, 1, 50, 0, 10, 0), (1, 0, 21, 0, 20, 0)), 0.0)
    assert verdicts.tolist() == [OK, TOO_FAST, STALE_SEQUENCE]
    assert table.position[:, 0].tolist()[:3] == [10, 20, 31]
    assert table.sequence.tolist()[:3] == [1, 0, 1]


def test_nothing_to_judge() -> None:
    assert judge(table_of((10, 0, 10)), RULES, np.empty(0, MOVE_IN), 0.0).tolist() == []


class TestNewest:
    """A flood of one client costs a tick no more than `limit` rounds."""

    def test_few_moves_stay_as_they_are(self) -> None:
        moves = rows(*((number, 1, 0, 0, 0, 0) for number in range(20)))
        assert newest(moves, 8) is moves

    def test_the_last_of_each_entity_stay_in_order(self) -> None:
        moves = rows(
            *((number % 3, sequence, 0, 0, 0, 0) for sequence, number in enumerate([0] * 10 + [1] + [0, 2] * 6))
        )
        kept = newest(moves, 4)
        assert kept["sequence"][kept["number"] == 0].tolist() == [15, 17, 19, 21]
        assert kept["sequence"][kept["number"] == 1].tolist() == [10]
        assert kept["sequence"][kept["number"] == 2].tolist() == [16, 18, 20, 22]
        assert (np.diff(kept["sequence"].astype(int)) > 0).all()

    @pytest.mark.parametrize("seed", range(5))
    def test_against_a_plain_loop(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        moves = np.zeros(200, MOVE_IN)
        moves["number"], moves["sequence"] = rng.integers(0, 30, 200), np.arange(200)
        expected: list[int] = []
        left = dict.fromkeys(range(30), 5)
        for row in moves[::-1]:
            number = int(row["number"])
            if left[number]:
                left[number] -= 1
                expected.append(int(row["sequence"]))
        assert newest(moves, 5)["sequence"].tolist() == expected[::-1]
