"""A zone is given from one of its actors to the other, in virtual time (row 7.3)."""

from __future__ import annotations

import asyncio
import time

import pytest

from actors.zone.roles import GIVEN_S, PROMOTE_S
from actors.zone.rows import read_places
from cluster.errors import InvalidInput, NotOwner, Unavailable
from tests.unit.actors.zone.roles_rig import ZONE, Rig, play


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
            await rig.walked(first, "ann", number, 52.0)
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
            await rig.walked(first, "ann", number, 51.0)
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
            await rig.walked(first, "ann", number, 51.0)
            await second.roles.promote()
            assert (first.role, second.role, rig.x(second, "ann")) == ("following", "owner", 51.0)

        play(scenario, standby=False)

    @pytest.mark.parametrize("standby", [True, False])
    def test_a_zone_that_was_given_away_and_not_taken_is_taken_back(self, standby: bool) -> None:
        async def scenario(rig: Rig) -> None:
            first, second = await rig.pair()
            number = await rig.enter(first, "ann", 50)
            await rig.walked(first, "ann", number, 52.0)
            await second.kill()
            places, _, epoch = await first.roles.yield_to(1, 2.0)
            assert (epoch, len(read_places(places))) == (1, 1)
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
