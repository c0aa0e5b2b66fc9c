"""Which ways are in obstacles. The ground is 100 m by 100 m."""

from __future__ import annotations

import math

import numpy as np
import pytest

from actors.zone.geometry import MARGIN_M, SKIN_M, Geometry
from cluster.world_settings import Bounds, Obstacle

BOUNDS = Bounds(min_x=0, min_z=0, max_x=100, max_z=100)

Point = tuple[float, float]


def rect(*sides: float) -> Obstacle:
    return Obstacle.model_validate({"rect": sides})


def polygon(*corners: Point) -> Obstacle:
    return Obstacle(polygon=corners)


def of(*obstacles: Obstacle) -> Geometry:
    return Geometry.of(obstacles, BOUNDS)


def blocked(geometry: Geometry, before: Point, after: Point) -> bool:
    return bool(geometry.blocked(np.array([before], float), np.array([after], float))[0])


class TestWays:
    HOUSE = of(rect(40, 40, 60, 50))

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ((39, 45), (41, 45)),
            ((39, 45), (61, 45)),
            ((50, 39), (50, 51)),
            ((39, 41.5), (41.5, 39)),
            ((30, 30), (60, 60)),
            ((39, 45), (40.02, 45)),
        ],
    )
    def test_into_it_through_it_and_over_a_corner(self, before: Point, after: Point) -> None:
        assert blocked(self.HOUSE, before, after)
        ends_inside = after[0] in (41, 40.02)
        assert blocked(self.HOUSE, after, before) != ends_inside, "who is inside may leave"

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ((10, 10), (20, 20)),
            ((39, 40), (39, 50)),
            ((40, 30), (40, 60)),
            ((40, 45), (40, 48)),
            ((39, 45), (40, 45)),
            ((39, 39), (41, 39.9)),
            ((50, 50), (50, 60)),
            ((20, 45), (20, 45)),
        ],
    )
    def test_past_it_along_it_and_up_to_it(self, before: Point, after: Point) -> None:
        assert not blocked(self.HOUSE, before, after)
        assert not blocked(self.HOUSE, after, before)

    def test_rounding_is_no_wall(self) -> None:
        """Who stands at the wall as float32 or in centimetres may stand a little in it, and walks on along it."""
        geometry = of(polygon((40.1, 40.1), (60.1, 47.3), (60.1, 40.1)))
        for share in np.linspace(0.1, 0.9, 33):
            exact = np.array([40.1 + 20 * share, 40.1 + 7.2 * share])
            for kind in (np.float32(exact).astype(float), np.round(exact, 2)):
                assert not geometry.blocked(np.array([[40.1, 40.1]]), kind[None])[0]

    def test_a_seam_is_no_gap(self) -> None:
        """Two houses wall to wall, and two that overlap."""
        geometry = of(rect(10, 10, 20, 20), rect(20, 10, 30, 20), rect(29, 12, 40, 18))
        assert blocked(geometry, (20, 5), (20, 25))
        assert blocked(geometry, (20, 5), (20, 10.5))
        assert blocked(geometry, (29.5, 5), (29.5, 25))

    @pytest.mark.parametrize("thick", [0.001, 0.015, 0.02, 0.021])
    def test_a_fence_is_a_fence_however_thin(self, thick: float) -> None:
        geometry = of(rect(50, 10, 50 + thick, 90))
        assert blocked(geometry, (49, 50), (51, 50))
        assert not blocked(geometry, (49, 5), (51, 5))

    def test_a_yard_is_free_inside(self) -> None:
        """Four walls around 10 m by 10 m."""
        geometry = of(rect(20, 20, 40, 25), rect(20, 35, 40, 40), rect(20, 20, 25, 40), rect(35, 20, 40, 40))
        assert not blocked(geometry, (27, 27), (33, 33))
        assert blocked(geometry, (30, 30), (30, 45))

    def test_a_polygon_that_is_not_convex(self) -> None:
        """A horseshoe, open to the north."""
        geometry = of(polygon((10, 10), (30, 10), (30, 30), (25, 30), (25, 15), (15, 15), (15, 30), (10, 30)))
        assert not blocked(geometry, (20, 40), (20, 16))
        assert blocked(geometry, (20, 20), (27, 20))
        assert blocked(geometry, (20, 16), (20, 5))


class TestWalkingOut:
    def test_who_stands_in_one_may_leave_it(self) -> None:
        geometry = of(rect(40, 40, 60, 60))
        assert not blocked(geometry, (50, 50), (50, 50.4)), "a step on the way"
        assert not blocked(geometry, (59, 50), (61, 50))
        assert blocked(geometry, (61, 50), (59, 50)), "but not come back"

    def test_but_not_into_another(self) -> None:
        geometry = of(rect(40, 40, 60, 60), rect(62, 40, 80, 60))
        assert not blocked(geometry, (59, 50), (61, 50))
        assert blocked(geometry, (59, 50), (63, 50))

    def test_of_several_that_are_one_as_well(self) -> None:
        geometry = of(rect(40, 40, 60, 60), rect(55, 40, 80, 60))
        assert not blocked(geometry, (50, 50), (56, 50))


class TestFreePlaces:
    HOUSE = of(rect(40, 40, 60, 50))

    @pytest.mark.parametrize(
        ("wanted", "place"),
        [
            ((10, 10), (10, 10)),
            ((40, 45), (40, 45)),
            ((41, 45), (40, 45)),
            ((50, 48), (50, 50)),
            ((59.5, 44), (60, 44)),
        ],
    )
    def test_the_nearest_one(self, wanted: Point, place: Point) -> None:
        assert self.HOUSE.free_place(*wanted) == pytest.approx(place)
        assert not self.HOUSE.covers(np.array([self.HOUSE.free_place(*wanted)]))[0]

    def test_from_far_inside(self) -> None:
        geometry = of(rect(5, 5, 95, 90))
        assert geometry.free_place(50, 48) == pytest.approx((50, 90)), "42 m away, and nothing is nearer"

    def test_the_next_obstacle_is_no_place_either(self) -> None:
        geometry = of(rect(40, 40, 60, 50), rect(20, 45, 80, 70))
        x, z = geometry.free_place(50, 48)
        assert (x, z) == pytest.approx((50, 40))

    def test_on_the_zone_s_own_ground(self) -> None:
        """A house across the border: the nearest place is another zone's."""
        assert of(rect(95, 40, 105, 60)).free_place(99, 50) == pytest.approx((95, 50))

    def test_not_in_a_yard_without_a_gate(self) -> None:
        walls = of(rect(20, 20, 40, 25), rect(20, 35, 40, 40), rect(20, 20, 25, 40), rect(35, 20, 40, 40))
        assert walls.free_place(24, 30) == pytest.approx((20, 30))
        assert walls.free_place(26, 30) == (26, 30), "who is there stays there"

    def test_when_there_is_none(self) -> None:
        assert of(rect(-10, -10, 110, 110)).free_place(30, 40) == (30, 40)

    @pytest.mark.parametrize("seed", range(3))
    def test_against_trying_many(self, seed: int) -> None:
        """No free place of a fine grid is nearer than the one that is found."""
        rng = np.random.default_rng(seed)
        corners = rng.uniform(0, 90, (40, 2))
        sizes = rng.uniform(2, 12, (40, 2))
        geometry = of(*(rect(x, z, x + w, z + d) for (x, z), (w, d) in zip(corners, sizes, strict=True)))
        axis = np.linspace(0, 100, 201)
        grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
        free = grid[~geometry.covers(grid)]
        for x, z in grid[geometry.covers(grid)][::97].tolist():
            found = geometry.free_place(x, z)
            assert not geometry.covers(np.array([found]))[0]
            assert math.dist(found, (x, z)) <= np.sqrt(((free - (x, z)) ** 2).sum(1)).min() + SKIN_M


class TestNear:
    def test_what_is_far_away_costs_nothing(self) -> None:
        assert not of()
        assert not of(rect(100 + MARGIN_M + 1, 0, 300, 100))
        assert of(rect(100 + MARGIN_M - 1, 0, 300, 100))

    def test_no_obstacles_block_nobody(self) -> None:
        assert not blocked(of(), (10, 10), (90, 90))
        assert of().free_place(50, 50) == (50, 50)
        assert of().covers(np.array([[1.0, 1.0]])).tolist() == [False]

    def test_nobody_walks(self) -> None:
        geometry, nobody = of(rect(40, 40, 60, 50)), np.empty((0, 2))
        assert geometry.blocked(nobody, nobody).tolist() == []
        assert geometry.covers(nobody).tolist() == []


def test_many_at_once_are_judged_as_one_by_one() -> None:
    rng = np.random.default_rng(1)
    corners, sizes = rng.uniform(0, 95, (200, 2)), rng.uniform(0.5, 6, (200, 2))
    geometry = of(*(rect(x, z, x + w, z + d) for (x, z), (w, d) in zip(corners, sizes, strict=True)))
    before = rng.uniform(0, 100, (400, 2))
    after = before + rng.uniform(-3, 3, (400, 2))
    together = geometry.blocked(before, after)
    assert together.tolist() == [blocked(geometry, tuple(a), tuple(b)) for a, b in zip(before, after, strict=True)]
    assert 20 < np.count_nonzero(together) < 380
    # Against looking at every centimetre of each way, rectangle by rectangle.
    low, high = corners + SKIN_M, corners + sizes - SKIN_M
    shares = np.linspace(0, 1, 500)[:, None, None]
    steps = before + (after - before) * shares
    hits = np.any(np.all((steps[:, :, None] > low) & (steps[:, :, None] < high), axis=-1), axis=2)
    missed = np.any(hits, axis=0) & ~geometry.covers(before) & ~together
    assert not missed.any()
