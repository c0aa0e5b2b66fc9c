"""What a zone's actors say of themselves, and where in a zone its entities are."""

from __future__ import annotations

import json

import numpy as np
import pytest

from actors.zone import beat
from cluster.world_settings import Bounds
from tests.unit.actors.zone.roles_rig import ZONE, Rig, play

GROUND = Bounds(min_x=-100, min_z=0, max_x=60, max_z=320)  # cells of 10 x 20 m


class TestHeat:
    def test_cells_are_counted_by_row_and_column(self) -> None:
        positions = np.array([(-100.0, 0.0), (-90.1, 19.9), (-90.0, 20.0), (59.0, 319.0)], np.float32)
        assert beat.heat(positions, GROUND) == [[0, 2], [17, 1], [255, 1]]

    def test_who_stands_on_the_upper_edge_or_beyond_counts_at_the_edge(self) -> None:
        positions = np.array([(60.0, 320.0), (61.5, 100.0), (-101.0, -5.0)], np.float32)
        assert beat.heat(positions, GROUND) == [[0, 1], [95, 1], [255, 1]]

    def test_nobody(self) -> None:
        assert beat.heat(np.zeros((0, 2), np.float32), GROUND) == []

    @pytest.mark.parametrize("seed", range(5))
    def test_everybody_is_counted_once(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        positions = rng.uniform((-110, -10), (70, 330), (500, 2)).astype(np.float32)
        grid = beat.heat(positions, GROUND)
        assert sum(count for _, count in grid) == 500
        assert [cell for cell, _ in grid] == sorted({cell for cell, _ in grid})
        assert all(0 <= cell < 256 and count > 0 for cell, count in grid)


class TestValues:
    def test_of_an_owner_and_of_its_standby(self) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            await rig.enter(first, "ann", 10.0)  # all stand at z = 50
            await rig.enter(first, "bob", 99.0)
            await rig.until(lambda: second.roles.info()["population"] == 2)
            mine, theirs = beat.values(first.roles), beat.values(second.roles)
            assert (mine["zone"], mine["slot"], mine["role"], mine["epoch"], mine["standby"]) == (
                ZONE,
                0,
                "owner",
                1,
                False,
            )
            assert mine["heat"] == [[8 * 16 + 1, 1], [8 * 16 + 15, 1]]
            assert (mine["population"], mine["ghosts"], mine["handed_over"], mine["admitted"]) == (2, 0, 0, 0)
            assert (theirs["role"], theirs["standby"], theirs["population"], theirs["heat"]) == (
                "following",
                True,
                2,
                [],
            )
            assert mine.keys() == theirs.keys()
            assert json.loads(json.dumps([mine, theirs])) == [mine, theirs]

        play(scenario)

    def test_of_one_that_is_only_starting(self) -> None:
        async def scenario(rig: Rig) -> None:
            actor = rig.start(0)
            said = beat.values(actor.roles)
            assert (said["role"], said["epoch"], said["population"], said["heat"]) == ("starting", 0, 0, [])
            await rig.until(lambda: actor.role == "owner")

        play(scenario)
