"""The workload: the same every time, at its pace, inside its walls; the expected number against counting one by one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cluster.bench import plan as plans
from cluster.bench.plan import MOVES_HZ, SPEED_M_S, Plan, expected, make, side_of
from cluster.world_settings import InterestSettings


def in_the_open(plan: Plan) -> np.ndarray:
    """steps by clients: no wall within a metre."""
    return np.asarray(((plan.ground > 1.0) & (plan.ground < plan.side_m - 1.0)).all(axis=2))


@pytest.fixture(scope="module")
def walk() -> Plan:
    return make(40, 3.0)


def test_the_square_holds_twenty_neighbours() -> None:
    side = side_of(800)
    assert math.isclose(800 / side**2 * math.pi * 50.0**2, 20.0)


def test_the_same_every_time(walk: Plan) -> None:
    again = make(40, 3.0)
    assert np.array_equal(walk.ground, again.ground)
    assert np.array_equal(walk.phase_s, again.phase_s)
    assert not np.array_equal(walk.ground, make(40, 3.0, seed=2).ground)


def test_everyone_walks_at_the_pace_and_stays_inside(walk: Plan) -> None:
    assert walk.steps == (5 + 3 + 1) * 10
    assert walk.ground.shape == (walk.steps + 1, 40, 2)
    assert walk.ground.min() >= 0.0
    assert walk.ground.max() <= walk.side_m
    step = np.hypot(*(np.diff(walk.ground, axis=0)).T)
    assert step.max() <= SPEED_M_S / MOVES_HZ + 1e-9
    inner = in_the_open(walk)
    free = inner[1:] & inner[:-1]  # no wall within reach
    assert np.allclose(step.T[free], SPEED_M_S / MOVES_HZ)


def test_the_yaw_is_where_the_walk_goes(walk: Plan) -> None:
    way = np.diff(walk.ground, axis=0)
    moved = np.arctan2(way[..., 0], way[..., 1])
    inner = in_the_open(walk)
    free = inner[2:] & inner[1:-1] & inner[:-2]
    turned = (walk.yaw[1:-1] - moved[1:] + math.pi) % math.tau - math.pi
    # A client faces where it goes next, up to the turn it makes there.
    assert np.abs(turned[free]).max() < 6 * plans.TURN_RAD


def test_moves_are_spread_over_the_period(walk: Plan) -> None:
    assert np.allclose(np.diff(np.sort(walk.phase_s)), 1.0 / (40 * MOVES_HZ))
    assert walk.newest(-0.001).tolist() == [0] * 40
    assert walk.newest(0.0999999).tolist() == [1] * 40
    assert walk.newest(1e9).tolist() == [walk.steps] * 40


def test_a_place_in_a_zone_is_what_travels(walk: Plan) -> None:
    placed = walk.placed([(-70.0, 12.5)])
    assert placed.dtype == np.dtype("<f4")
    assert np.allclose(placed - walk.ground, [-70.0, 12.5], atol=1e-4)


def test_expected_is_what_counting_finds() -> None:
    """Twelve clients, one pair and one tick at a time, in plain Python."""
    plan = make(12, 1.0, warm_up_s=0.5)
    given: dict[tuple[int, int], int] = {}
    deliveries, waits = 0, []
    for tick in range(30):
        now = 0.025 + tick * 0.05
        newest = [max(0, math.floor((now - phase) * 10.0) + 1) for phase in plan.phase_s]
        place = [plan.ground[newest[i], i] for i in range(12)]
        for viewer in range(12):
            for seen in range(12):
                if viewer == seen or math.dist(place[viewer], place[seen]) > 50.0:
                    continue
                if newest[seen] > given.get((viewer, seen), -1):
                    given[viewer, seen] = newest[seen]
                    if now >= 0.5:
                        deliveries += 1
                        waits.append(now - plan.phase_s[seen] - (newest[seen] - 1) / 10.0)
    ideal = expected(plan)
    assert deliveries > 100
    assert ideal.deliveries_per_s == deliveries / 1.0
    assert math.isclose(ideal.p50_ms, np.percentile(waits, 50) * 1_000.0, rel_tol=1e-6)


def test_an_ideal_server_is_as_slow_as_its_tick() -> None:
    ideal = expected(make(100, 2.0))
    assert 20.0 < ideal.p50_ms < 30.0
    assert ideal.p99_ms <= 51.0
    assert 12.0 < ideal.mean_neighbours < 20.0  # twenty in the open; walls take some


class TestZones:
    def test_each_has_an_even_share_in_a_square_of_its_own(self) -> None:
        plan = make(50, 1.0, zones=4)
        assert np.bincount(plan.zone_of).tolist() == [13, 13, 12, 12]
        assert plan.side_m == side_of(13)
        assert plan.ground.max() <= plan.side_m
        corners = [(0.0, 0.0), (1_000.0, 0.0), (0.0, 2_000.0), (-500.0, 0.0)]
        placed = plan.placed(corners)
        for zone, corner in enumerate(corners):
            mine = plan.zone_of == zone
            assert np.allclose(placed[:, mine] - plan.ground[:, mine], corner, atol=1e-3)

    def test_no_zone_walks_as_another_does(self) -> None:
        plan = make(40, 1.0, zones=2)
        one, two = plan.ground[:, plan.zone_of == 0], plan.ground[:, plan.zone_of == 1]
        assert not np.allclose(one[0], two[0])
        again = make(40, 1.0, zones=2)
        assert np.array_equal(plan.ground, again.ground)

    def test_one_zone_is_the_crowd_as_it_was(self) -> None:
        assert np.array_equal(make(40, 1.0).ground, make(40, 1.0, zones=1).ground)
        assert make(40, 1.0).zones == 1

    def test_nobody_is_expected_to_see_across(self) -> None:
        plan = make(200, 1.0, zones=2)
        both = expected(plan)
        assert 0.8 < both.mean_neighbours / expected(make(100, 1.0)).mean_neighbours < 1.25
        assert both.deliveries_per_s < 0.75 * expected(replace(plan, zone_of=np.zeros(200, np.int64))).deliveries_per_s

    def test_apart_is_further_than_anybody_sees(self) -> None:
        interest = InterestSettings()
        assert interest.radius + interest.hysteresis + 5.0 < plans.APART_M


@pytest.mark.parametrize(("clients", "seconds", "zones"), [(1, 5.0, 1), (10, 0.0, 1), (10, 4_000.0, 1), (7, 5.0, 4)])
def test_crowds_that_make_no_sense(clients: int, seconds: float, zones: int) -> None:
    with pytest.raises(ValueError, match="needs at least"):
        make(clients, seconds, zones=zones)
