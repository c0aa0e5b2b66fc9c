"""Where one may walk: the zone's own ground, that of neighbours, and not into obstacles."""

from __future__ import annotations

import math

import numpy as np
import pytest

from actors.zone.entities import EntityTable
from actors.zone.movement import BLOCKED, NOT_FINITE, OK, OUT_OF_BOUNDS, STALE_SEQUENCE, TOO_FAST, Rules, judge
from cluster.world_settings import Obstacle, WorldSettings
from tests.unit.actors.zone.movement_rig import BOUNDS, CAP, RULES, WORLD, Place, rows, table_of, try_one


class TestGround:
    """Beyond the zone's own ground one may go where the neighbours are."""

    def rules(self) -> tuple[Rules, list[np.ndarray]]:
        rules, asked = Rules.of(BOUNDS, WORLD, EntityTable(1)), []

        def east(ground: np.ndarray) -> np.ndarray:
            asked.append(ground)
            inside: np.ndarray = (ground[:, 0] > 100) & (ground[:, 0] <= 110)
            return inside

        rules.allow(east)
        return rules, asked

    def test_only_what_is_outside_is_asked_for(self) -> None:
        rules, asked = self.rules()
        table = table_of((98, 0, 50), (50, 0, 98), (50, 0, 50), (99, 0, 99))
        moves = rows((0, 1, 102, 0, 50, 0), (1, 1, 50, 0, 102, 0), (2, 1, 51, 0, 50, 0), (3, 1, 101, 25, 99, 0))
        assert judge(table, rules, moves, 0.0).tolist() == [OK, OUT_OF_BOUNDS, OK, OUT_OF_BOUNDS]
        assert [ground.tolist() for ground in asked] == [[[102, 50], [50, 102]]]

    def test_nobody_is_asked_while_all_are_inside(self) -> None:
        rules, asked = self.rules()
        assert judge(table_of((98, 0, 50)), rules, rows((0, 1, 100, 0, 50, 0)), 0.0).tolist() == [OK]
        assert judge(table_of((98, 0, 50)), rules, rows((0, 1, math.nan, 0, 50, 0)), 0.0).tolist() == [NOT_FINITE]
        assert asked == []

    def test_who_is_outside_may_come_back(self) -> None:
        """Its ground went to a neighbour that died."""
        table = table_of((50, 0, 120))
        assert try_one(table, (50, 0, 121), 1) == OUT_OF_BOUNDS
        assert try_one(table, (51, 0, 120), 2) == OUT_OF_BOUNDS
        assert try_one(table, (51, 0, 119), 3) == OK
        table = table_of((110, 0, 120))
        assert try_one(table, (107, 0, 121), 1) == OK
        assert try_one(table, (108, 0, 120), 2) == OUT_OF_BOUNDS


class TestObstacles:
    WALL = WorldSettings(
        movement=WORLD.movement,
        types=WORLD.types,
        obstacles=(Obstacle(rect=(50, 0, 52, 100)), Obstacle(rect=(70, 20, 80, 30))),
    )
    RULES = Rules.of(BOUNDS, WALL, EntityTable(1))

    def test_into_and_through_a_wall(self) -> None:
        for x in (50.5, 51.0, 53.0):
            table = table_of((48, 0, 50))
            assert try_one(table, (x, 0, 50), rules=self.RULES) == BLOCKED
            assert table.position[0].tolist() == [48, 0, 50]
            assert (table.budget[0], table.sequence[0]) == (CAP, 1)

    def test_along_it_and_around_it(self) -> None:
        assert try_one(table_of((48, 0, 50)), (50, 0, 55), rules=self.RULES) == OK
        assert try_one(table_of((69, 0, 19)), (69, 0, 26), rules=self.RULES) == OK

    def test_other_reasons_go_first(self) -> None:
        assert try_one(table_of((48, 0, 50)), (60, 0, 50), rules=self.RULES) == TOO_FAST
        assert try_one(table_of((48, 0, 50), sequence=9), (53, 0, 50), rules=self.RULES) == STALE_SEQUENCE

    def test_each_is_judged_for_itself(self) -> None:
        table = table_of((48, 0, 50), (48, 0, 60), (20, 0, 20), (72, 0, 19))
        moves = rows((3, 1, 72, 0, 22, 0), (0, 1, 49, 0, 50, 0), (2, 1, 21, 0, 20, 0), (1, 1, 53, 0, 60, 0))
        assert judge(table, self.RULES, moves, 0.0).tolist() == [BLOCKED, OK, OK, BLOCKED]

    def test_a_world_without_any(self) -> None:
        assert not RULES.geometry


class TestPlaces:
    @pytest.mark.parametrize(
        ("wanted", "place"),
        [
            ((50, 1, 60), (50, 1, 60)),
            ((-5, 30, 101), (0, 20, 100)),
            ((math.nan, math.inf, 60), (50, 7.5, 60)),
        ],
    )
    def test_the_nearest_in_the_zone(self, wanted: Place, place: Place) -> None:
        assert RULES.clip(*wanted) == place
        assert RULES.standing_place(*wanted) == place

    def test_who_comes_is_put_beside_the_wall(self) -> None:
        assert TestObstacles.RULES.clip(50.5, 1, 60) == (50.5, 1, 60)
        assert TestObstacles.RULES.standing_place(50.5, 1, 60) == (50, 1, 60)
        assert TestObstacles.RULES.standing_place(75, 1, 200) == (75, 1, 100)
