"""Where those walk on whose ground has become another zone's."""

from __future__ import annotations

import numpy as np

from actors.zone.former_ground import WALKED_ON_S, FormerGround
from cluster.world_settings import Bounds
from cluster.worldmap import WorldMap, retired
from tests.unit.actors.zone.borders_rig import ground

LAND = WorldMap(2, (ground("west", 0, 0, 30, 100), ground("new", 30, 0, 100, 100), ground("east", 100, 0, 200, 100)))
FORMER = Bounds(min_x=0, min_z=0, max_x=100, max_z=100)
X, Z = np.array([50.0, 105.0, 115.0, 50.0]), np.array([50.0, 50.0, 50.0, 105.0])


def test_on_the_ground_and_next_to_it_but_not_off_the_land() -> None:
    former = FormerGround(overlap=10.0)
    former.lost(FORMER)
    assert former.allowed(X, Z, LAND, 5.0).tolist() == [True, True, False, False]


def test_for_a_moment_from_the_first_question() -> None:
    former = FormerGround(overlap=10.0)
    former.lost(FORMER)
    assert former.allowed(X, Z, LAND, 100.0).any()
    assert former.allowed(X, Z, LAND, 100.0 + WALKED_ON_S).any()
    assert not former.allowed(X, Z, LAND, 100.1 + WALKED_ON_S).any()
    former.lost(FORMER)
    assert former.allowed(X, Z, LAND, 200.0).any()


def test_not_without_such_ground_and_not_on_one_that_is_given_up() -> None:
    former = FormerGround(overlap=10.0)
    assert not former.allowed(X, Z, LAND, 0.0).any()
    former.lost(FORMER)
    given_up = WorldMap(3, (LAND.zones[0], retired(LAND.zones[1], "west"), LAND.zones[2]))
    assert former.allowed(X, Z, given_up, 0.0).tolist() == [False, True, False, False]
