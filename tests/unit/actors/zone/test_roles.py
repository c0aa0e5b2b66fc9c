"""Which of a zone's two actors owns it, in virtual time (rows 7.3 and 7.4)."""

from __future__ import annotations

import asyncio
import time

import pytest

from actors.zone.owner import Tools, ZoneOwner
from actors.zone.roles import GIVEN_S, PROMOTE_S, make_owner
from cluster.errors import InvalidInput, NotOwner, Unavailable
from cluster.settings import Bounds
from cluster.worldmap import MapZone, WorldMap
from tests.unit.actors.zone.roles_rig import ZONE, Actor, Rig, play

SILENCE_S = 0.25


async def walked(rig: Rig, actor: Actor, name: str, number: int, x: float) -> None:
    """The player stands there now, and both actors know."""
    rig.move(number, int(x * 10), x)
    await rig.until(lambda: abs(rig.x(actor, name) - x) < 1e-3)
    await asyncio.sleep(0.06)  # the tick that moved it has been told


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
            await walked(rig, first, "ann", number, 51.5)
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

    def test_a_store_that_is_away_delays_it_and_no_more(self) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            number = await rig.enter(first, "ann", 50)
            await asyncio.sleep(1.1)
            for actor in (first, second):
                actor.store.away = True
            await walked(rig, first, "ann", number, 53.0)
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
            await walked(rig, first, "ann", number, 53.0)
            setattr(second.store, what, 2)
            await first.kill()
            await rig.until(lambda: second.role == "owner")
            assert (rig.x(second, "ann"), second.roles.epoch) == (53.0, 4)

        play(scenario)


class TestPromotion:
    def test_it_takes_a_moment_and_loses_nothing(self) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            number = await rig.enter(first, "ann", 50)
            gone_on = True

            async def walk() -> None:
                x = 50.0
                while gone_on:
                    x += 0.2
                    rig.move(number, int(x * 10), x)
                    await asyncio.sleep(0.05)

            walking = asyncio.create_task(walk())
            await asyncio.sleep(2.0)
            began = time.monotonic()
            await asyncio.gather(*(second.roles.promote() for _ in range(3)))  # said again
            assert time.monotonic() - began < 0.1
            await second.roles.promote()
            assert [first.role, second.role] == ["following", "owner"]
            assert (second.roles.epoch, first.fenced) == (2, 0)
            await asyncio.sleep(1.0)
            gone_on = False
            await walking
            gaps = [b[0] - a[0] for a, b in zip(rig.outputs, rig.outputs[1:], strict=False)]
            assert max(gaps) < 0.15
            assert [epoch for _, epoch in rig.outputs] == sorted(epoch for _, epoch in rig.outputs)
            await rig.until(lambda: rig.x(second, "ann") > 60)
            await first.roles.promote()  # and back
            assert [first.role, second.role] == ["owner", "following"]
            assert (first.roles.epoch, rig.x(first, "ann") > 60) == (3, True)
            await asyncio.sleep(5.0)
            assert (first.role, first.roles.epoch) == ("owner", 3), "what was asked for once is done once"

        play(scenario, standby=False)

    def test_a_dead_owner_is_not_asked_for_long(self) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            number = await rig.enter(first, "ann", 50)
            await walked(rig, first, "ann", number, 52.0)
            await first.kill()
            began = time.monotonic()
            await second.roles.promote()
            assert time.monotonic() - began < 0.5
            assert rig.x(second, "ann") == 52.0

        play(scenario, standby=False)

    def test_a_follower_that_never_heard_the_dead_owner_takes_over_as_well(self) -> None:
        async def scenario(rig: Rig) -> None:
            await rig.store.take(ZONE, 0)
            second = rig.start(1)
            await second.roles.promote()
            assert (second.role, second.roles.epoch) == ("owner", 2)

        play(scenario, standby=False)

    def test_an_owner_that_ticks_and_does_not_answer_keeps_the_zone(self) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            del rig.actors[first.name]
            with pytest.raises(Unavailable):
                await second.roles.promote()
            assert (first.role, second.role) == ("owner", "following")
            rig.actors[first.name] = first.roles
            await asyncio.sleep(PROMOTE_S)
            assert (first.role, second.role) == ("owner", "following"), "it was promoted when nobody waited any more"
            await second.roles.promote()
            assert (first.role, second.role) == ("following", "owner")

        play(scenario, standby=False)

    def test_an_owner_without_a_store_goes_on(self) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            number = await rig.enter(first, "ann", 50)
            first.store.away = True
            first.owner.writer.put("ent_ann")  # something to write before it could give the zone away
            with pytest.raises(Unavailable):
                await first.roles.yield_to(1, 2.0)
            await walked(rig, first, "ann", number, 51.0)
            first.store.away = False
            await second.roles.promote()
            assert rig.x(second, "ann") == 51.0

        play(scenario, standby=False)

    def test_an_owner_that_cannot_finish_goes_on(self) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            number = await rig.enter(first, "ann", 50)
            first.owner._spawn(asyncio.sleep(3.0))  # as a hand-over that the store does not answer
            with pytest.raises(Unavailable):
                await first.roles.yield_to(1, 2.0)
            await walked(rig, first, "ann", number, 51.0)
            await second.roles.promote()
            assert (first.role, second.role, rig.x(second, "ann")) == ("following", "owner", 51.0)

        play(scenario, standby=False)

    @pytest.mark.parametrize("standby", [True, False])
    def test_a_zone_that_was_given_away_and_not_taken_is_taken_back(self, standby: bool) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            number = await rig.enter(first, "ann", 50)
            await walked(rig, first, "ann", number, 52.0)
            await second.kill()
            places, _, epoch = await first.roles.yield_to(1, 2.0)
            assert (epoch, len(places)) == (1, 28)
            assert await first.roles.yield_to(1, 2.0) == (places, _, 1), "said again"
            with pytest.raises(NotOwner, match="1"):
                async with first.roles.serving():
                    pass
            took = await rig.until(lambda: first.role == "owner")
            assert GIVEN_S - 0.1 < took < GIVEN_S + 0.3
            assert (first.roles.epoch, rig.x(first, "ann")) == (2, 52.0)

        play(scenario, standby=standby)

    def test_a_lost_answer_costs_no_more_than_the_silence(self) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            await rig.enter(first, "ann", 50)

            class Mute:
                async def yield_to(self, slot: int, within_s: float) -> None:
                    await first.roles.yield_to(slot, within_s)
                    await asyncio.sleep(60.0)

            rig.actors[first.name] = Mute()
            began = time.monotonic()
            await second.roles.promote()
            assert time.monotonic() - began < 0.5
            await asyncio.sleep(GIVEN_S + 1.0)
            assert (first.role, second.role, second.roles.epoch) == ("following", "owner", 2)
            assert first.fenced == 0

        play(scenario, standby=False)

    def test_what_is_under_way_is_done_before_the_zone_goes(self) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            first.store.slow_s["claim"] = 0.3  # a call looks there first for a session that the zone does not know
            entering = asyncio.create_task(rig.enter(first, "ann", 50))
            await asyncio.sleep(0.01)
            promoting = asyncio.create_task(second.roles.promote())
            await asyncio.sleep(0.05)
            with pytest.raises(NotOwner):
                await rig.enter(first, "bob", 60)
            assert first.role == "owner", "players do not wait for it"
            await promoting
            assert entering.done()
            assert set(second.owner.zone.table.by_id) == {"ent_ann"}
            assert first.fenced == 0

        play(scenario, standby=False)

    def test_only_the_other_actor_gets_the_zone(self) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            for slot in (0, 2, -1):
                with pytest.raises(InvalidInput):
                    await first.roles.yield_to(slot, 2.0)
            with pytest.raises(NotOwner, match="0"):
                await second.roles.yield_to(0, 2.0)
            assert first.role == "owner"

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
