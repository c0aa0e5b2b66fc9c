"""Zones that touch are one world (row 7.2): owners over memory adapters in virtual time, no Ray and no servers."""

from __future__ import annotations

import asyncio

import pytest

from actors.zone.borders import SILENT_S
from cluster.errors import Elsewhere
from cluster.settings import Bounds
from cluster.worldmap import MapZone, retired
from tests.unit.actors.zone.far_store import Weather
from tests.unit.actors.zone.owner_rig import TICK_S, Player, Rig, playing

WEST, EAST = "zon_west", "zon_east"
WHOLE = (WEST, 0.0, 0.0, 100.0, 100.0)
TWO = (WHOLE, (EAST, 100.0, 0.0, 200.0, 100.0))
LEFT = MapZone(WEST, "west", Bounds(min_x=0, min_z=0, max_x=50, max_z=100), WEST)
RIGHT = MapZone(EAST, "east", Bounds(min_x=50, min_z=0, max_x=100, max_z=100), WEST)


async def at_the_border(rig: Rig) -> tuple[Player, Player, Player]:
    """ann about to cross, bob beyond the border, cat behind her; all see each other."""
    ann, bob, cat = (rig.player(name) for name in ("ann", "bob", "cat"))
    await ann.enter(WEST, 97.0)
    await bob.enter(EAST, 110.0)
    await cat.enter(WEST, 80.0)
    await rig.until(lambda: ann.sees == {"bob", "cat"} and bob.sees == {"ann", "cat"} and cat.sees == {"ann", "bob"})
    return ann, bob, cat


async def all_is_well(rig: Rig, ann: Player, *others: Player, dead: str = "") -> None:
    """ann is in the east alone, as everybody knows, walks on and is seen; nobody saw her leave whose zone has not died."""
    await rig.until(lambda: rig.holders("ann") == [EAST] and ann.zone_id == EAST)
    assert await rig.store.zones_of([ann.session_id]) == {ann.session_id: EAST}
    assert await rig.kept("ann") == [EAST]
    names = {player.name for player in (ann, *others)}
    await rig.until(lambda: all(player.sees == names - {player.name} for player in (ann, *others)))
    await ann.walk_to(ann.x + 2.0)
    await rig.until(lambda: all(abs((other.x_of("ann") or 0.0) - ann.x) < 0.011 for other in others))
    assert [player.strange for player in (ann, *others)] == [[]] * (1 + len(others))
    assert [player.left for player in others if player.zone_id != dead] == [[]] * (len(others) - bool(dead))


async def arriving(rig: Rig) -> bool:
    """The store has handed her over."""
    return await rig.kept("ann") == [">" + EAST]


async def claimed(rig: Rig) -> bool:
    """The store has her in the east."""
    return await rig.kept("ann") == [EAST]


async def admitted(rig: Rig) -> bool:
    """The east knows that she is its own."""
    return rig.owners[EAST].zone.admitted == 1


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


class TestDeaths:
    """Either side may be killed in the middle."""

    @playing(*TWO)
    async def test_nobody_is_handed_over_to_a_zone_that_is_away(self, rig: Rig) -> None:
        ann, bob, cat = await at_the_border(rig)
        await rig.kill(EAST)
        await rig.run(SILENT_S)
        assert not await ann.walk_to(104.0)
        assert rig.holders("ann") == [WEST]
        assert rig.x(WEST, "ann") <= 100.0, "nor walks there"
        await rig.start(EAST)
        await rig.until(lambda: bob.sees == {"ann", "cat"})
        await ann.walk_to(104.0)
        await all_is_well(rig, ann, bob, cat, dead=EAST)

    @playing(*TWO)
    async def test_the_target_dies_before_it_has_claimed(self, rig: Rig) -> None:
        ann, bob, cat = await at_the_border(rig)
        rig.ways[EAST].weather = "refusing"
        await ann.walk_to(103.0)
        await rig.until(lambda: rig.owners[WEST].zone.handed_over == 1)
        await rig.kill(EAST)
        assert await rig.kept("ann") == [">" + EAST]
        await rig.run(1.0)
        await rig.start(EAST)
        await all_is_well(rig, ann, bob, cat, dead=EAST)

    @playing(*TWO)
    async def test_the_target_dies_when_it_has_claimed_and_nobody_knows(self, rig: Rig) -> None:
        """Neither it nor the gateway nor the session's actor heard of the claim."""
        ann, bob, cat = await at_the_border(rig)
        rig.ways[EAST].weather = "losing"
        await ann.walk_to(103.0)
        await rig.until(lambda: rig.owners[WEST].zone.handed_over == 1)
        await rig.soon(lambda: claimed(rig))
        await rig.kill(EAST)
        assert ann.zone_id == WEST
        await rig.start(EAST)
        await all_is_well(rig, ann, bob, cat, dead=EAST)

    @playing(*TWO)
    async def test_the_target_dies_after_its_first_views_were_lost(self, rig: Rig) -> None:
        ann, bob, cat = await at_the_border(rig)
        ann.walk(6.0)
        await rig.soon(lambda: admitted(rig))
        rig.wires[EAST].cut = True
        await rig.run(0.1)
        await rig.kill(EAST)
        assert ann.zone_id == WEST
        await rig.start(EAST)
        await all_is_well(rig, ann, bob, cat, dead=EAST)

    @playing(*TWO)
    async def test_the_source_dies_and_the_store_has_it(self, rig: Rig) -> None:
        """It was not told so: the next incarnation finds that she is not its own."""
        ann, bob, cat = await at_the_border(rig)
        rig.ways[WEST].weather = "losing"
        ann.walk(6.0)
        await rig.soon(lambda: arriving(rig))
        await rig.kill(WEST)
        await rig.until(lambda: rig.holders("ann") == [EAST])
        await rig.start(WEST)
        await all_is_well(rig, ann, bob, cat, dead=WEST)

    @playing(*TWO)
    async def test_the_source_dies_and_the_store_has_not_heard(self, rig: Rig) -> None:
        ann, bob, cat = await at_the_border(rig)
        rig.ways[WEST].weather = "hanging"
        ann.walk(6.0)
        await rig.until(lambda: bool(rig.owners[WEST].transit.under_way))
        await rig.kill(WEST)
        assert await rig.kept("ann") == [WEST]
        await rig.start(WEST)
        await rig.until(lambda: rig.holders("ann") == [WEST])
        await ann.walk_to(104.0)
        await rig.until(lambda: ann.zone_id == EAST)
        assert rig.holders("ann") == [EAST]
        assert ann.strange == bob.strange == cat.strange == []
        await rig.until(lambda: bob.sees == {"ann", "cat"} and cat.sees == {"ann", "bob"})

    @playing(*TWO)
    async def test_both_die(self, rig: Rig) -> None:
        ann, bob, cat = await at_the_border(rig)
        rig.ways[EAST].weather = "refusing"
        await ann.walk_to(103.0)
        await rig.until(lambda: rig.owners[WEST].zone.handed_over == 1)
        await rig.kill(WEST)
        await rig.kill(EAST)
        await rig.run(1.0)
        await rig.start(WEST)
        await rig.start(EAST)
        await rig.until(lambda: bob.sees == {"ann", "cat"} and cat.sees == {"ann", "bob"})
        await rig.until(lambda: ann.sees == {"bob", "cat"} and rig.holders("ann") == [EAST])


class TestStore:
    """While the store is away nobody begins to cross; who was on the way arrives when it is back."""

    @playing(*TWO)
    async def test_nothing_begins_while_it_is_away(self, rig: Rig) -> None:
        ann, bob, cat = await at_the_border(rig)
        rig.ways[WEST].weather = "refusing"
        rig.owners[WEST].writer.put("ent_ann")
        await rig.until(lambda: rig.owners[WEST].writer.away)
        await ann.walk_to(104.0)
        await rig.run(3.0)
        west = rig.owners[WEST]
        assert (rig.holders("ann"), west.transit.under_way) == ([WEST], set())
        assert abs(rig.x(WEST, "ann") - ann.x) < 0.011, "she walks on"
        assert not west.zone.table.frozen.any()
        assert await rig.kept("ann") == [WEST]
        rig.ways[WEST].clear_up()
        await all_is_well(rig, ann, bob, cat)

    @playing(*TWO)
    async def test_one_under_way_is_finished_when_it_is_back(self, rig: Rig) -> None:
        weathers: tuple[Weather, ...] = ("refusing", "losing", "hanging")
        for weather in weathers:
            name = weather
            walker = rig.player(name)
            await walker.enter(WEST, 98.0)
            walker.walk(6.0)
            west = rig.owners[WEST]
            rig.ways[WEST].weather = weather
            await rig.until(lambda west=west: bool(west.transit.under_way))  # type: ignore[misc]
            await rig.run(4.0)
            assert rig.holders(name) == ([EAST] if weather == "losing" else [])
            assert west.transit.under_way == {EAST}
            rig.ways[WEST].clear_up()
            await rig.until(lambda west=west: not (west.writer.away or west.transit.under_way))  # type: ignore[misc]
            await rig.until(lambda name=name: rig.holders(name) == [EAST])  # type: ignore[misc]
            await rig.until(lambda walker=walker: walker.zone_id == EAST)  # type: ignore[misc]
            assert await rig.kept(name) == [EAST]

    @playing(*TWO)
    async def test_the_target_cannot_claim_until_it_is_back(self, rig: Rig) -> None:
        ann, bob, cat = await at_the_border(rig)
        rig.ways[EAST].weather = "refusing"
        await ann.walk_to(103.0)
        await rig.run(4.0)
        assert rig.holders("ann") == []
        assert (bob.left, cat.left) == ([], []), "she stands there for all"
        rig.ways[EAST].clear_up()
        await rig.until(lambda: rig.holders("ann") == [EAST])
        ann.x = rig.x(EAST, "ann")
        await rig.until(lambda: ann.zone_id == EAST and ann.sees == {"bob", "cat"})


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
