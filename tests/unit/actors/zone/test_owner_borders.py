"""Zones that touch are one world (row 7.2): owners over memory adapters, no Ray and no servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from cluster.settings import Bounds
from cluster.worldmap import MapZone, retired
from tests.unit.actors.zone.owner_rig import Player, Rig, world

WEST, EAST = "zon_west", "zon_east"
TWO = ((WEST, 0, 0, 100, 100), (EAST, 100, 0, 200, 100))


@asynccontextmanager
async def rig(*grounds: tuple[str, float, float, float, float], **overrides: Any) -> AsyncIterator[Rig]:
    made = Rig(world(*(grounds or TWO), **overrides))
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def walk_to(stage: Rig, player: Player, x: float, step: float = 0.06) -> None:
    """At 6 m/s: one step for each tick of the zone it is in."""
    while abs(player.x - x) > step:
        player.walk(step if x > player.x else -step, 0.0)
        owner = stage.owners[player.zone_id]
        ticks = owner.zone.ticks
        await stage.until(lambda owner=owner, ticks=ticks: owner.zone.ticks > ticks)  # type: ignore[misc]


async def test_players_see_each_other_across_the_border() -> None:
    async with rig() as stage:
        ann, bob = stage.player("ann"), stage.player("bob")
        await ann.enter(WEST, 95.0, 50.0)
        await bob.enter(EAST, 105.0, 50.0)
        await stage.until(lambda: ann.sees == {"bob"} and bob.sees == {"ann"})
        assert stage.holders("ann") == [WEST]


async def test_crossing_changes_the_owner_and_nothing_else() -> None:
    async with rig() as stage:
        ann, bob, cat = (stage.player(name) for name in ("ann", "bob", "cat"))
        await ann.enter(WEST, 97.0, 50.0)
        await bob.enter(EAST, 110.0, 50.0)
        await cat.enter(WEST, 80.0, 50.0)
        await stage.until(lambda: ann.sees == {"bob", "cat"} and bob.sees == {"ann", "cat"})
        await walk_to(stage, ann, 104.0)
        await stage.until(lambda: stage.holders("ann") == [EAST] and ann.zone_id == EAST)
        await stage.until(lambda: ann.sees == {"bob", "cat"})
        assert ann.zones == [WEST, EAST]
        assert bob.sees == {"ann", "cat"}
        assert cat.sees == {"ann", "bob"}
        assert len(bob.zones) == len(cat.zones) == 1  # their views never began again
        await walk_to(stage, ann, 106.0)
        seen = next(e for e in cat.scene.entities.values() if e.entity_id == "ent_ann")
        await stage.until(lambda: seen.cm is not None and abs(seen.cm[0] - 10_600) <= 10)
        assert ann.strange == bob.strange == cat.strange == []


async def test_split_hands_over_everybody_at_once() -> None:
    async with rig((WEST, 0, 0, 100, 100)) as stage:
        players = [stage.player(f"p{n}") for n in range(10)]
        for n, player in enumerate(players):
            await player.enter(WEST, 5.0 + 10 * n, 50.0)
        everyone = {player.name for player in players}
        close = {p.name: {q.name for q in players if q is not p and abs(q.x - p.x) <= 50} for p in players}
        await stage.until(lambda: all(p.sees == close[p.name] for p in players))
        whole = stage.map.find(WEST)
        assert whole is not None
        left = MapZone(WEST, "west", Bounds(min_x=0, min_z=0, max_x=50, max_z=100), WEST)
        right = MapZone(EAST, "east", Bounds(min_x=50, min_z=0, max_x=100, max_z=100), WEST)
        stage.map = stage.map.changed(left, right)
        await stage.start(EAST)
        await stage.remap(stage.map)
        await stage.until(lambda: [stage.holders(p.name) for p in players] == [[WEST]] * 5 + [[EAST]] * 5)
        await stage.until(lambda: all(p.sees == close[p.name] for p in players))
        assert not [p.strange for p in players if p.strange]
        assert everyone == {name for p in players for name in p.sees}

        stage.map = stage.map.changed(whole, retired(right, WEST))
        await stage.remap(stage.map)
        await stage.until(lambda: [stage.holders(p.name) for p in players] == [[WEST]] * 10)
        assert await stage.owners[EAST].retire()
        await stage.until(lambda: all(p.zone_id == WEST and p.sees == close[p.name] for p in players))
        assert not [p.strange for p in players if p.strange]


async def test_a_killed_zone_comes_back_with_those_on_their_way() -> None:
    async with rig() as stage:
        ann, bob = stage.player("ann"), stage.player("bob")
        await ann.enter(WEST, 99.0, 50.0)
        await bob.enter(EAST, 110.0, 50.0)
        await stage.until(lambda: ann.sees == {"bob"})
        await stage.kill(EAST)
        await walk_to(stage, ann, 103.0)  # nobody is handed over to a zone that may be away
        await stage.start(EAST)
        await stage.until(lambda: stage.holders("ann") == [EAST], 10.0)
        await stage.until(lambda: ann.sees == {"bob"} and bob.sees == {"ann"})
        await stage.kill(EAST)
        await stage.start(EAST)
        await stage.until(lambda: stage.holders("ann") == [EAST] and stage.holders("bob") == [EAST])
        await stage.until(lambda: ann.sees == {"bob"} and bob.sees == {"ann"})
        assert ann.strange == bob.strange == []
