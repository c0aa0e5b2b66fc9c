"""Bots stay inside, keep their pace, and turn smoothly."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from cluster.bench.walker import AVOID_RATE, EDGE_M, TURN_SPREAD, Walker
from rayrealm_client.models import Bounds

AREA = Bounds(-50.0, 10.0, 50.0, 60.0)
DT = 0.1


@given(st.integers(0, 2**32), st.floats(-50, 50), st.floats(10, 60), st.floats(3.0, 5.0))
def test_inside_at_an_even_pace(seed: int, x: float, z: float, speed: float) -> None:
    walker = Walker(AREA, x, z, speed, random.Random(seed))
    for _ in range(200):
        before = (walker.x, walker.z)
        walker.step(DT)
        assert AREA.min_x <= walker.x <= AREA.max_x
        assert AREA.min_z <= walker.z <= AREA.max_z
        assert math.dist(before, (walker.x, walker.z)) <= speed * DT + 1e-9


def test_it_gets_about_and_does_not_cling_to_walls() -> None:
    rng = random.Random(3)
    for _ in range(20):
        walker = Walker(AREA, 49.0, 59.0, 4.0, rng)
        places = []
        for _ in range(1_200):
            walker.step(DT)
            places.append((walker.x, walker.z))
        at_the_wall = sum(
            min(x - AREA.min_x, AREA.max_x - x, z - AREA.min_z, AREA.max_z - z) <= EDGE_M + 0.01 for x, z in places
        )
        assert at_the_wall < 120
        assert max(math.dist(places[0], place) for place in places) > 20.0


def test_turns_are_smooth() -> None:
    walker = Walker(AREA, 0.0, 35.0, 4.0, random.Random(5))
    before = walker.yaw
    for _ in range(2_000):
        walker.step(DT)
        turned = (walker.yaw - before + math.pi) % math.tau - math.pi
        assert abs(turned) < (5 * TURN_SPREAD + AVOID_RATE) * DT
        before = walker.yaw


def test_the_yaw_is_the_way_it_goes() -> None:
    walker = Walker(AREA, 0.0, 35.0, 4.0, random.Random(6))
    walker.step(DT)
    assert math.isclose(math.atan2(walker.x, walker.z - 35.0) % math.tau, walker.yaw, abs_tol=1e-9)


def test_put_outside_it_walks_back() -> None:
    walker = Walker(AREA, 0.0, 35.0, 4.0, random.Random(7))
    walker.place(-60.0, 35.0)
    for _ in range(40):
        before = (walker.x, walker.z)
        walker.step(DT)
        assert math.dist(before, (walker.x, walker.z)) <= 0.4 + 1e-9
    assert walker.x >= AREA.min_x


def test_the_same_dice_give_the_same_walk() -> None:
    walks = []
    for _ in range(2):
        walker = Walker(AREA, 0.0, 35.0, 4.0, random.Random("9:1"))
        for _ in range(50):
            walker.step(DT)
        walks.append((walker.x, walker.z, walker.yaw))
    assert walks[0] == walks[1]
