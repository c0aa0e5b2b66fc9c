"""Which of a zone's two actors owns it, in virtual time (rows 7.3 and 7.4)."""

from __future__ import annotations

import asyncio

import pytest

from actors.zone.owner import Tools, ZoneOwner
from actors.zone.roles import make_owner
from cluster.errors import InvalidInput, NotOwner, Unavailable
from cluster.world_settings import Bounds
from cluster.worldmap import MapZone, WorldMap
from tests.unit.actors.zone.roles_rig import ZONE, Rig, play

SILENCE_S = 0.25


class TestStart:
    def test_slot_0_owns_a_new_zone_and_slot_1_follows(self) -> None:
        async def scenario(rig: Rig) -> None:
            second = rig.start(1)
            await rig.until(lambda: second.role == "following")
            first = rig.start(0)
            await rig.until(lambda: first.role == "owner" and second.roles.epoch == 1)
            assert (first.roles.epoch, second.role) == (1, "following")
            info = first.roles.info()
            assert (info["zone"], info["slot"], info["role"], info["epoch"]) == (ZONE, 0, "owner", 1)
            assert second.roles.info().keys() == info.keys()

        play(scenario)

    def test_a_restarted_actor_owns_what_its_slot_owned(self) -> None:
        async def scenario(rig: Rig) -> None:
            await rig.store.take(ZONE, 1)
            first, second = rig.start(0), rig.start(1)
            await rig.until(lambda: second.role == "owner" and first.role == "following")
            await rig.enter(second, "ann", 50)
            await second.kill()
            again = rig.start(1)
            await rig.until(lambda: again.role == "owner")
            assert (again.roles.epoch, again.owner.zone.own, first.role) == (3, 1, "following")

        play(scenario, standby=False)

    def test_a_store_that_is_away_is_waited_for(self) -> None:
        async def scenario(rig: Rig) -> None:
            actor = rig.start(0)
            actor.store.away = True
            await asyncio.sleep(20.0)
            assert actor.role == "starting"
            actor.store.away = False
            assert await rig.until(lambda: actor.role == "owner") < 1.5

        play(scenario)

    def test_a_bug_at_the_start_is_survived(self) -> None:
        async def scenario(rig: Rig) -> None:
            failures = [ValueError("a bug"), KeyError("another")]

            def fail(zone: MapZone, slot: int, epoch: int, tools: Tools) -> ZoneOwner:
                if failures:
                    raise failures.pop()
                return make_owner(zone, slot, epoch, tools)

            actor = rig.start(0, fail)
            await rig.until(lambda: actor.role == "owner")
            assert actor.roles.epoch == 3

        play(scenario)

    def test_a_zone_that_the_map_does_not_name_yet_owns_itself_and_gets_its_ground_later(self) -> None:
        async def scenario(rig: Rig) -> None:
            ground = Bounds(min_x=100, min_z=0, max_x=150, max_z=100)
            first = WorldMap(7, (MapZone("zon_other", "Other", Bounds(min_x=0, min_z=0, max_x=100, max_z=100), ""),))
            epoch = await rig.epochs.take("supervisor", "supervisor")
            await rig.world.save(epoch, first.dump(), b"")
            actor = rig.start(0)
            await rig.until(lambda: actor.role == "owner")
            assert actor.roles.info()["map_version"] == 7
            await actor.roles.remap(first.changed(MapZone(ZONE, "Test", ground, "zon_other")).dump())
            assert actor.owner.zone.bounds == ground
            assert actor.roles.info()["map_version"] == 8
            with pytest.raises(InvalidInput):
                await actor.roles.remap(b"{}")

        play(scenario)


class TestStandby:
    def test_it_takes_over_from_a_dead_owner_and_nobody_stands_elsewhere(self) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            number = await rig.enter(first, "ann", 50)
            await asyncio.sleep(1.1)  # a checkpoint
            await rig.walked(first, "ann", number, 51.5)
            await first.kill()
            took = await rig.until(lambda: second.role == "owner")
            assert SILENCE_S - 0.15 < took < SILENCE_S + 0.1
            assert (rig.x(second, "ann"), second.roles.epoch) == (51.5, 2)
            assert second.owner.zone.table.by_id["ent_ann"].number == number
            await rig.until(lambda: rig.outputs[-1][1] == 2)
            (before, _), (after, _) = [output for output in rig.outputs if output[1] == 1][-1], rig.outputs[-1]
            assert after - before < 0.5
            again = rig.start(0)
            await rig.until(lambda: again.role == "following" and rig.synced(again))
            await second.kill()
            await rig.until(lambda: again.role == "owner")
            assert (rig.x(again, "ann"), again.roles.epoch) == (51.5, 3)

        play(scenario)

    def test_without_one_the_follower_waits(self) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            await first.kill()
            await asyncio.sleep(30.0)
            assert (second.role, await rig.epochs.current("zone", ZONE)) == ("following", 1)
            first = rig.start(0)
            await rig.until(lambda: first.role == "owner" and second.roles.epoch == 2)

        play(scenario, standby=False)

    def test_an_owner_that_is_back_before_it_is_missed_keeps_the_zone(self) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            await first.kill()
            await asyncio.sleep(0.05)
            again = rig.start(0)
            await rig.until(lambda: again.role == "owner")
            await asyncio.sleep(3.0)
            assert (second.role, second.roles.epoch, second.roles.owner_slot) == ("following", 2, 0)
            assert rig.synced(second)
            await again.kill()
            await rig.until(lambda: second.role == "owner")

        play(scenario)

    @pytest.mark.parametrize("seed", range(20))
    def test_of_two_that_take_at_once_one_owns(self, seed: int) -> None:
        """The owner comes back at about the moment at which it is given up."""

        async def scenario(rig: Rig) -> None:
            first, _ = await rig.pair()
            await rig.enter(first, "ann", 50)
            await first.kill()
            await asyncio.sleep(0.15 + seed * 0.01)
            rig.start(0)
            await asyncio.sleep(3.0)
            (owner,) = rig.owners()
            assert [actor.role for actor in rig.made[1:]].count("following") == 1
            assert owner.owner.zone.own == 1
            assert owner.roles.epoch == await rig.epochs.current("zone", ZONE)
            assert not any(actor.fenced for actor in rig.made)

        play(scenario, seed=seed)

    def test_one_that_never_heard_its_owner_is_more_patient(self) -> None:
        async def scenario(rig: Rig) -> None:
            await rig.store.take(ZONE, 0)
            second = rig.start(1)
            took = await rig.until(lambda: second.role == "owner")
            assert 5.0 < took < 5.5

        play(scenario)

    def test_a_zone_that_nobody_ever_owned_is_not_taken_by_its_standby(self) -> None:
        async def scenario(rig: Rig) -> None:
            second = rig.start(1)
            await asyncio.sleep(30.0)
            assert (second.role, await rig.epochs.current("zone", ZONE)) == ("following", 0)

        play(scenario)

    @pytest.mark.parametrize("how", ["cut", "deaf"])
    def test_one_that_hears_nothing_at_all_blames_nobody(self, how: str) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            setattr(second.wire, how, True)
            await asyncio.sleep(10.0)
            setattr(second.wire, how, False)
            await asyncio.sleep(10.0)
            assert (first.role, first.roles.epoch, second.role) == ("owner", 1, "following")
            await first.kill()
            assert await rig.until(lambda: second.role == "owner") < SILENCE_S + 0.1

        play(scenario)

    @pytest.mark.parametrize("how", ["cut", "deaf"])
    def test_after_an_outage_the_owner_may_come_back_later(self, how: str) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            for actor in (first, second):
                setattr(actor.wire, how, True)
            await asyncio.sleep(5.0)
            setattr(second.wire, how, False)
            await asyncio.sleep(2.0)
            setattr(first.wire, how, False)
            await asyncio.sleep(5.0)
            assert (first.role, first.roles.epoch, second.role) == ("owner", 1, "following")

        play(scenario)

    def test_an_owner_that_nobody_hears_is_replaced_and_stops(self) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            await rig.enter(first, "ann", 50)
            first.wire.cut = True
            await rig.until(lambda: second.role == "owner")
            await rig.until(lambda: first.fenced > 0, 1.5)  # by its checkpoint
            assert (second.roles.epoch, second.owner.zone.own) == (2, 1)

        play(scenario)

    def test_a_store_that_lost_its_data_makes_a_new_beginning(self) -> None:
        async def scenario(rig: Rig) -> None:
            for _ in range(3):
                await rig.store.take(ZONE, 0)
            first, second = await rig.pair()
            rig.epochs._epochs.clear()
            rig.store._zones.clear()
            await rig.until(lambda: first.fenced > 0, 1.5)
            again = rig.start(0)
            await asyncio.sleep(10.0)
            assert (again.role, again.roles.epoch, second.role) == ("owner", 1, "following")
            assert rig.synced(second)

        play(scenario)

    def test_a_store_that_is_away_delays_it_and_no_more(self) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            number = await rig.enter(first, "ann", 50)
            await asyncio.sleep(1.1)
            for actor in (first, second):
                actor.store.away = True
            await rig.walked(first, "ann", number, 53.0)
            await first.kill()
            await asyncio.sleep(30.0)
            assert second.role == "following"
            second.store.away = False
            assert await rig.until(lambda: second.role == "owner") < 1.5
            assert rig.x(second, "ann") == 53.0

        play(scenario)

    @pytest.mark.parametrize("what", ["lose_takes", "fail_loads"])
    def test_what_it_knows_outlives_a_try_that_fails(self, what: str) -> None:
        """It may own the zone already when its answer is lost."""

        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            number = await rig.enter(first, "ann", 50)
            await asyncio.sleep(1.1)
            await rig.walked(first, "ann", number, 53.0)
            setattr(second.store, what, 2)
            await first.kill()
            await rig.until(lambda: second.role == "owner")
            assert (rig.x(second, "ann"), second.roles.epoch) == (53.0, 4)

        play(scenario)


class TestControlLane:
    def test_a_follower_says_who_owns(self) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            with pytest.raises(NotOwner) as said:
                await rig.enter(second, "ann", 50)
            assert said.value.slot == 0
            new = first.roles.maps.map.changed()
            with pytest.raises(NotOwner):
                await second.roles.remap(new.dump())
            assert second.roles.info()["map_version"] == new.version, "it has it all the same"
            with pytest.raises(NotOwner):
                await second.roles.retire()

        play(scenario)

    def test_a_call_waits_for_an_actor_that_starts(self) -> None:
        async def scenario(rig: Rig) -> None:
            actor = rig.start(0)
            assert await rig.enter(actor, "ann", 50) == 0
            late = rig.start(1)
            late.store.away = True
            with pytest.raises(Unavailable):
                await rig.enter(late, "bob", 50)

        play(scenario)

    def test_an_empty_zone_retires_for_good(self) -> None:
        async def scenario(rig: Rig) -> None:
            actor = rig.start(0)
            await rig.enter(actor, "ann", 50)
            assert not await actor.roles.retire()
            async with actor.roles.serving() as owner:
                await owner.leave("ses_ann")
            assert await actor.roles.retire()
            assert await actor.roles.retire(), "said again"
            await actor.driver
            assert (await rig.store.load(ZONE)).entities == {}
            assert actor.role == "starting"

        play(scenario)
