"""Crossings while zones die and while the store is away (rows 3.7 and 7.2), in virtual time."""

from __future__ import annotations

from structlog.testing import capture_logs

from actors.zone.borders import SILENT_S
from tests.unit.actors.zone.crossing_rig import EAST, TWO, WEST, admitted, all_is_well, arriving, at_the_border, claimed
from tests.unit.actors.zone.far_store import Weather
from tests.unit.actors.zone.owner_rig import TICK_S, Rig, playing


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
    async def test_those_who_come_after_it_walk_on_until_it_is_through(self, rig: Rig) -> None:
        ann, *_ = await at_the_border(rig)
        dan = rig.player("dan")
        await dan.enter(WEST, 97.0)
        rig.ways[WEST].weather = "hanging"
        ann.walk(6.0)
        west = rig.owners[WEST]
        await rig.until(lambda: bool(west.transit.under_way))
        await dan.walk_to(104.0)
        assert rig.holders("dan") == [WEST]
        assert abs(rig.x(WEST, "dan") - dan.x) < 0.011
        rig.ways[WEST].clear_up()
        await rig.until(lambda: rig.holders("ann") == rig.holders("dan") == [EAST])

    @playing(*TWO)
    async def test_who_was_to_go_to_a_zone_that_is_no_more_stays(self, rig: Rig) -> None:
        """It was retired while somebody was about to walk there, and the map that says so has not come yet."""
        ann, bob, _ = await at_the_border(rig)
        east = rig.owners[EAST]
        await east.leave(bob.session_id)
        assert await east.retire()
        ann.walk(6.0)
        with capture_logs() as logs:
            await rig.run(5 * TICK_S)
        assert "nobody_to_hand_over_to" in [line["event"] for line in logs]
        await rig.until(lambda: not rig.owners[WEST].transit.under_way)
        assert (rig.holders("ann"), await rig.kept("ann")) == ([WEST], [WEST])
        await ann.walk_to(97.0)
        assert abs(rig.x(WEST, "ann") - ann.x) < 0.011

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
