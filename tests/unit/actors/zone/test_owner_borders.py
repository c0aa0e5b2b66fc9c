"""Zones that touch are one world (row 7.2): owners over memory adapters in virtual time, no Ray and no servers."""

from __future__ import annotations

import asyncio

import pytest

from cluster.errors import Elsewhere
from cluster.world_settings import Bounds
from cluster.worldmap import MapZone, retired
from tests.unit.actors.zone.crossing_rig import EAST, TWO, WEST, WHOLE, admitted, all_is_well, arriving, at_the_border
from tests.unit.actors.zone.owner_rig import TICK_S, Player, Rig, playing

LEFT = MapZone(WEST, "west", Bounds(min_x=0, min_z=0, max_x=50, max_z=100), WEST)
RIGHT = MapZone(EAST, "east", Bounds(min_x=50, min_z=0, max_x=100, max_z=100), WEST)


class TestCrossing:
    @playing(*TWO)
    async def test_players_see_each_other_across_the_border(self, rig: Rig) -> None:
        _, bob, _ = await at_the_border(rig)
        assert rig.holders("ann") == [WEST]
        assert abs((bob.x_of("ann") or 0.0) - 97.0) < 0.011

    @playing(*TWO)
    async def test_it_changes_the_owner_and_nothing_else(self, rig: Rig) -> None:
        ann, bob, cat = await at_the_border(rig)
        await ann.walk_to(104.0)
        await all_is_well(rig, ann, bob, cat)
        assert ann.zones == [WEST, EAST]
        assert len(bob.zones) == len(cat.zones) == 1, "their views never began again"
        assert ann.left == []
        assert rig.moved == [(ann.session_id, EAST)]

    @playing(*TWO)
    async def test_there_and_back_again(self, rig: Rig) -> None:
        ann, bob, cat = await at_the_border(rig)
        for _ in range(4):
            await ann.walk_to(104.0)
            await rig.until(lambda: ann.zone_id == EAST)
            await ann.walk_to(96.0)
            await rig.until(lambda: ann.zone_id == WEST)
        await ann.walk_to(104.0)
        await all_is_well(rig, ann, bob, cat)
        assert ann.zones == [WEST, EAST] * 5

    @playing(*TWO)
    async def test_along_the_border_the_owner_does_not_change(self, rig: Rig) -> None:
        ann, *_ = await at_the_border(rig)
        await ann.walk_to(101.5)
        for _ in range(20):
            ann.walk(-3.0)
            await rig.run(0.5)
            ann.walk(3.0)
            await rig.run(0.5)
        assert rig.holders("ann") == [WEST]
        assert ann.zones == [WEST]

    @playing(*TWO)
    async def test_views_go_on_at_every_tick(self, rig: Rig) -> None:
        ann, bob, cat = await at_the_border(rig)
        gaps: dict[str, list[float]] = {player.name: [] for player in (ann, bob, cat)}
        loop = asyncio.get_running_loop()
        at = dict.fromkeys(gaps, loop.time())
        for player in (ann, bob, cat):
            seen = player.views

            async def watch(player: Player = player, seen: int = seen) -> None:
                while True:
                    await asyncio.sleep(0.005)
                    if player.views > seen:
                        seen = player.views
                        gaps[player.name].append(loop.time() - at[player.name])
                        at[player.name] = loop.time()

            rig.watch(watch())
        await ann.walk_to(110.0)
        assert rig.holders("ann") == [EAST]
        assert max(max(gap) for gap in gaps.values()) < 0.25

    @playing(*TWO)
    async def test_without_a_socket_one_crosses_too_and_finds_oneself_there(self, rig: Rig) -> None:
        ann, bob, cat = await at_the_border(rig)
        west = rig.owners[WEST]
        number = west.zone.table.by_session[ann.session_id].number
        await west.detach(ann.session_id, 1)
        west.zone.table.position[number, 0] = 103.0  # as if the game had thrown her
        await rig.until(lambda: rig.holders("ann") == [EAST])
        with pytest.raises(Elsewhere) as there:
            await west.attach(ann.session_id, "gtw_1", 2)
        assert there.value.zone_id == EAST
        ann.attach_epoch, ann.x = 2, 103.0
        standing = await rig.owners[EAST].attach(ann.session_id, "gtw_1", 2)
        ann.world = {"zone": EAST, "number": standing.number}
        rig.link.show(ann, EAST, standing.number)  # type: ignore[arg-type]
        ann.sequence = standing.sequence
        await all_is_well(rig, ann, bob, cat)

    @playing(*TWO)
    async def test_whoever_asks_the_new_zone_first_need_not_wait(self, rig: Rig) -> None:
        """A call for a session that the zone does not know makes it look into the store."""
        ann, *_ = await at_the_border(rig)
        rig.wires[WEST].lossy = 1.0  # no hints
        ann.walk(6.0)
        east = rig.owners[EAST]
        await rig.soon(lambda: arriving(rig))
        assert EAST not in rig.holders("ann")
        began = asyncio.get_running_loop().time()
        await east.attach(ann.session_id, "gtw_1", 1)
        assert asyncio.get_running_loop().time() - began < TICK_S
        assert rig.holders("ann") == [EAST]

    @playing(*TWO)
    async def test_the_new_owner_has_it_before_the_next_tick(self, rig: Rig) -> None:
        """It is told at once to look into the store."""
        ann, *_ = await at_the_border(rig)
        ann.walk(6.0)
        await rig.soon(lambda: arriving(rig))
        began = asyncio.get_running_loop().time()
        await rig.soon(lambda: admitted(rig))
        assert asyncio.get_running_loop().time() - began < TICK_S / 2

    @playing(*TWO)
    async def test_hints_that_are_lost_cost_half_a_second(self, rig: Rig) -> None:
        ann, bob, cat = await at_the_border(rig)
        rig.wires[WEST].lossy = 1.0
        await ann.walk_to(103.0)
        await rig.until(lambda: rig.holders("ann") == [EAST], 0.6)
        rig.wires[WEST].lossy = 0.0
        await rig.run(1.0)
        await all_is_well(rig, ann, bob, cat)

    @playing(*TWO)
    async def test_who_leaves_in_that_very_moment_is_gone(self, rig: Rig) -> None:
        """And those who cross after it are not held up for it."""
        ann, bob, _ = await at_the_border(rig)
        west = rig.owners[WEST]
        dan = rig.player("dan")
        await dan.enter(WEST, 98.0)
        west.zone.table.position[west.zone.table.by_session[ann.session_id].number, 0] = 103.0
        west._tick(asyncio.get_running_loop().time())
        assert west.transit.under_way == {EAST}
        with pytest.raises(Elsewhere):
            west.zone.leave(ann.session_id)
        await rig.until(lambda: rig.holders("ann") == [EAST])
        await rig.owners[EAST].leave(ann.session_id)
        assert await rig.kept("ann") == []
        await dan.walk_to(103.0)
        await rig.until(lambda: rig.holders("dan") == [EAST])
        await rig.until(lambda: bob.sees >= {"dan"} and "ann" not in bob.sees)


class TestPlans:
    @playing(WHOLE)
    async def test_split_and_merge_hand_over_everybody(self, rig: Rig) -> None:
        players = [rig.player(f"p{n}") for n in range(10)]
        for n, player in enumerate(players):
            await player.enter(WEST, 5.0 + 10 * n)
        close = {p.name: {q.name for q in players if q is not p and abs(q.x - p.x) <= 50} for p in players}
        await rig.until(lambda: all(p.sees == close[p.name] for p in players))
        whole = rig.map.find(WEST)
        assert whole is not None
        rig.map = rig.map.changed(LEFT, RIGHT)
        await rig.start(EAST)
        await rig.remap(rig.map)
        await rig.until(lambda: [rig.holders(p.name) for p in players] == [[WEST]] * 5 + [[EAST]] * 5)
        await rig.until(lambda: all(p.sees == close[p.name] for p in players))
        assert [(p.strange, p.left) for p in players] == [([], [])] * 10

        await rig.remap(rig.map.changed(whole, retired(RIGHT, WEST)))
        await rig.until(lambda: [rig.holders(p.name) for p in players] == [[WEST]] * 10)
        assert await rig.owners[EAST].retire()
        await rig.until(lambda: all(p.zone_id == WEST and p.sees == close[p.name] for p in players))
        assert [(p.strange, p.left) for p in players] == [([], [])] * 10

    @playing(*TWO)
    async def test_a_zone_that_somebody_is_on_the_way_to_is_not_retired(self, rig: Rig) -> None:
        ann, *_ = await at_the_border(rig)
        east = rig.owners[EAST]
        assert not await east.retire()
        rig.ways[EAST].weather = "losing"
        await ann.walk_to(103.0)
        await rig.until(lambda: rig.owners[WEST].zone.handed_over == 1)
        rig.ways[EAST].clear_up()
        assert not await east.retire()
        assert rig.holders("ann") == [EAST]

    @playing(WHOLE)
    async def test_an_entry_that_is_asked_again_after_a_split_makes_no_second_one(self, rig: Rig) -> None:
        """The first answer was lost, and meanwhile the entity belongs to the new zone, far from the old one's ground."""
        ann = rig.player("ann")
        await ann.enter(WEST, 99.0)
        rig.map = rig.map.changed(LEFT, RIGHT)
        await rig.start(EAST)
        await rig.remap(rig.map)
        await rig.until(lambda: rig.holders("ann") == [EAST])
        for _ in range(2):
            with pytest.raises(Elsewhere) as there:
                await rig.owners[WEST].enter(ann.arrival)
            assert there.value.zone_id == EAST
            await rig.kill(WEST)  # and the next incarnation has forgotten whom the one before had
            await rig.start(WEST)
        assert rig.holders("ann") == [EAST]
        assert (await rig.owners[EAST].enter(ann.arrival)).x == 99.0
