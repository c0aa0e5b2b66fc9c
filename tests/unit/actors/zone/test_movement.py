"""Which moves become the truth. 8 m/s with a tolerance of 1.25: a budget that fills at 10 m/s, up to 10 m."""

from __future__ import annotations

import math

import numpy as np
import pytest

from actors.zone.entities import EntityTable
from actors.zone.movement import (
    BLOCKED,
    NOT_FINITE,
    OK,
    OUT_OF_BOUNDS,
    REASONS,
    STALE_SEQUENCE,
    TOO_FAST,
    TOO_SUDDEN,
    Rules,
    judge,
    newest,
)
from actors.zone.rows import MOVE_IN
from cluster.world_settings import Bounds, EntityTypeSettings, MovementSettings, WorldSettings
from tests.unit.actors.zone.movement_rig import BOUNDS, CAP, RULES, WORLD, Place, rows, table_of, try_one


def test_the_limits_of_a_zone() -> None:
    assert RULES.low.tolist() == [0, -5, 0]
    assert RULES.high.tolist() == [100, 20, 100]
    assert (RULES.speed_of("player"), RULES.budget_cap_of("player")) == (10.0, CAP)


class TestTypes:
    def test_each_has_its_own_limits_with_the_tolerance(self) -> None:
        assert (RULES.speed_of("cart"), RULES.budget_cap_of("cart")) == (20.0, 20.0)
        assert RULES.accelerations[RULES.kinds["cart"]] == 2.5

    def test_one_that_nobody_declared_has_the_defaults(self) -> None:
        default = EntityTypeSettings()
        assert RULES.speed_of("dragon") == default.max_speed * 1.25
        assert RULES.accelerations[table_of((0, 0, 0), kind="dragon").kind[0]] == default.max_acceleration * 1.25

    def test_players_are_as_fast_as_the_world_says_unless_their_type_says_otherwise(self) -> None:
        movement = MovementSettings(max_speed=3.0, tolerance=1.0)
        world = WorldSettings(movement=movement)
        assert Rules.of(BOUNDS, world, EntityTable(1)).speed_of("player") == 3.0
        world = WorldSettings(movement=movement, types={"player": EntityTypeSettings(max_speed=7.0)})
        assert Rules.of(BOUNDS, world, EntityTable(1)).speed_of("player") == 7.0

    def test_a_cart_goes_where_a_player_may_not(self) -> None:
        assert try_one(table_of((0, 0, 50)), (15, 0, 50)) == TOO_FAST
        assert try_one(table_of((0, 0, 50), budget=20.0, kind="cart"), (15, 0, 50)) == OK

    def test_those_who_are_here_already_get_the_limits_of_new_rules(self) -> None:
        table = table_of((0, 0, 50), kind="boat")
        assert table.kind[0] == 0
        rules = Rules.of(BOUNDS, WorldSettings(types={"boat": EntityTypeSettings()}), table)
        assert table.kind[0] == rules.kinds["boat"] != 0


def test_verdicts_have_the_reasons_of_the_protocol() -> None:
    verdicts = (OK, STALE_SEQUENCE, NOT_FINITE, OUT_OF_BOUNDS, TOO_FAST, TOO_SUDDEN, BLOCKED)
    names = "ok stale_sequence not_finite out_of_bounds too_fast too_sudden blocked"
    assert [REASONS[v] for v in verdicts] == names.split()


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
    rules = Rules.of(Bounds(min_x=0.1, min_z=-3.3, max_x=200.1, max_z=77.7), WORLD, EntityTable(1))
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


class TestAcceleration:
    """A cart: 20 m/s and 2.5 m/s2 with the tolerance, packets up to a second late. From rest it gets 1.25 m in that second."""

    def cart(self, *, resting: bool) -> EntityTable:
        table = table_of((0, 0, 50), budget=20.0, kind="cart")
        if resting:
            table.motion.rest(0, 0.0)
        return table

    def test_nobody_is_at_full_speed_at_once(self) -> None:
        table = self.cart(resting=True)
        assert try_one(table, (2.0, 0, 50), 1) == TOO_SUDDEN
        assert table.position[0, 0] == 0.0
        assert try_one(table, (1.4, 0, 50), 2) == OK

    def test_who_is_new_may_be_running(self) -> None:
        assert try_one(self.cart(resting=False), (20.0, 0, 50)) == OK

    def test_who_was_silent_for_long_was_standing(self) -> None:
        table = self.cart(resting=False)
        assert try_one(table, (15.0, 0, 50), 1) == OK
        assert try_one(table, (30.0, 0, 50), 2, now=10.0) == TOO_SUDDEN
        assert try_one(table, (20.0, 0, 50), 3, now=10.0) == OK, "two seconds from rest: 5 m"

    def test_a_refusal_does_not_wear_off_while_one_stands(self) -> None:
        table = self.cart(resting=True)
        for sequence in range(1, 200):
            assert try_one(table, (12.0, 0, 50), sequence, now=10.0 + 4 * sequence) == TOO_SUDDEN

    def test_who_reports_standing_is_standing(self) -> None:
        table = self.cart(resting=False)
        for sequence in range(1, 41):
            assert try_one(table, (0, 0, 50), sequence, now=sequence / 10) == OK
        assert try_one(table, (2.0, 0, 50), 41, now=4.1) == TOO_SUDDEN
        assert try_one(table, (1.6, 0, 50), 42, now=4.1) == OK

    def test_speeding_up_all_the_way(self) -> None:
        table, refused = self.cart(resting=True), 0
        for sequence in range(1, 81):
            now = sequence / 10
            far = 1.25 * min(now, 8.0) ** 2
            refused += try_one(table, (far, 0, 50), sequence, now) != OK
        assert refused == 0
        assert table.position[0, 0] == pytest.approx(80.0)

    def test_a_measured_speed_is_a_new_start(self) -> None:
        """It stood half a minute ago, but walked slowly since: it has not been speeding up all the time."""
        table = self.cart(resting=True)
        for sequence in range(1, 301):
            assert try_one(table, (sequence / 100, 0, 50), sequence, now=sequence / 10) == OK
        assert try_one(table, (20.0, 0, 50), 301, now=30.1) == TOO_SUDDEN

    def test_a_number_that_another_had_is_not_held_back(self) -> None:
        table = self.cart(resting=True)
        entity = table.remove(0)
        table.add(entity, 0, 0, 50, 0, 0, 20.0, 0.0)
        assert try_one(table, (19.0, 0, 50)) == OK

    def test_too_fast_goes_first(self) -> None:
        assert try_one(self.cart(resting=True), (21.0, 0, 50)) == TOO_FAST


def test_what_a_budget_has_earned() -> None:
    table = table_of((0, 0, 0), budget=4.0, now=10.0)
    assert RULES.earned(table, 0, 10.3) == pytest.approx(3.0)
    assert RULES.earned(table, 0, 20.0) == pytest.approx(6.0), "no more than the cap"
    assert RULES.earned(table, 0, 5.0) == 0.0
    table = table_of((0, 0, 0), budget=40.0)
    assert RULES.earned(table, 0, 20.0) == 0.0, "what was granted is kept and does not grow"


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
