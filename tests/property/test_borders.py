"""Nobody is lost, nobody is twice, and nothing that was acknowledged is forgotten, whatever happens between zones (rows 3.7, 7.2).

Border messages that are lost and late, a store that does not answer, zones that are killed, a map that changes under the players:
after every tick an entity has one owner at most, who is the store's; and once all is well, everybody is seen where it is.
"""

from __future__ import annotations

import pytest

from tests.property.border_world import BorderWorld
from tests.simulation import virtual_time
from tests.unit.actors.zone.owner_rig import TICK_S

PLAYERS = 10
WALK_S = 40.0
SETTLE_S = 20.0


@pytest.mark.parametrize("seed", range(6))
def test_walking_about_where_four_zones_meet(seed: int) -> None:
    async def play() -> BorderWorld:
        rig = BorderWorld.make_rig(seed)
        world, rng = BorderWorld(rig, seed), rig.rng
        await rig.listen()
        await rig.start()
        try:
            for _ in range(PLAYERS):
                await world.come()
            for way in rig.ways.values():
                way.flaky = 0.02
            for _ in range(round(WALK_S / TICK_S)):
                world.walk()
                if rng.random() < 0.04:
                    await world.misfortune()
                if rng.random() < 0.02 and world.walkers:
                    await world.go(rng.choice(list(world.walkers)))
                if len(world.walkers) < PLAYERS:
                    await world.come()
                for walker in world.walkers.values():
                    if rng.random() < 0.1:
                        world.change(walker)
                await world.pass_time(TICK_S)
            await world.calm()
            for _ in range(round(SETTLE_S / TICK_S)):
                await world.pass_time(TICK_S)
                if world.settled():
                    break
            world.check_settled()
        finally:
            await rig.stop()
        return world

    world = virtual_time.run(play, seed)
    assert world.crossings > 20
    assert world.kills > 0
    assert world.outages > 0
    assert world.acked > 20
