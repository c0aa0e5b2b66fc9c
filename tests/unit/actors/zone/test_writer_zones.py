"""Hand-overs and claims take their turn with a writer's commits."""

from __future__ import annotations

import asyncio

import pytest

from cluster.errors import Fenced, NotFound, Unavailable
from tests.unit.actors.zone.writer_rig import LATENCY_S, OTHER, ZONE, Rig, in_virtual_time

TRIP_S = 2 * LATENCY_S


class TestHandOver:
    @in_virtual_time
    async def test_it_goes_and_a_later_commit_does_not_bring_it_back(self) -> None:
        rig = await Rig.start()
        rig.put("ent_1")
        rig.put("ent_2")
        await rig.writer.written()
        handing = asyncio.create_task(rig.hand_over("ent_1"))
        for _ in range(20):
            rig.writer.put("ent_1")
            rig.put("ent_2", b"2")
            await asyncio.sleep(TRIP_S / 10)
        await handing
        await rig.writer.written()
        assert await rig.stored() == {"ent_2": b"2"} == rig.memory
        assert await rig.arrived() == {"ent_1": b"1"}
        assert await rig.store.inner.zones_of(["ses_1", "ses_2"]) == {"ses_1": OTHER, "ses_2": ZONE}
        assert rig.store.most_at_once == 1

    @in_virtual_time
    async def test_one_that_the_store_does_not_know_yet(self) -> None:
        rig = await Rig.start()
        rig.put("ent_1")
        await rig.hand_over("ent_1")
        assert [name for _, name in rig.store.calls] == ["commit", "hand_over"]
        assert await rig.arrived() == {"ent_1": b"1"}
        assert await rig.stored() == {}
        assert (await rig.outcome(rig.writer.written()))[0] is None

    @in_virtual_time
    async def test_who_left_before_its_turn_stays_out(self) -> None:
        rig = await Rig.start()
        rig.put("ent_1")
        await rig.writer.written()
        parcels = [rig.parcel("ent_1")]
        rig.put("ent_2")
        await asyncio.sleep(LATENCY_S)
        handing = asyncio.create_task(rig.writer.hand_over(OTHER, parcels))
        await asyncio.sleep(0)
        rig.drop("ent_1")
        await handing
        assert await rig.arrived() == {}
        assert await rig.stored() == {"ent_2": b"1"}
        assert await rig.store.inner.zones_of(["ses_1"]) == {}

    @in_virtual_time
    async def test_what_is_noted_on_the_way_is_the_other_zones(self) -> None:
        """Even if memory has it for some time longer."""
        rig = await Rig.start()
        rig.put("ent_1")
        rig.put("ent_2")
        await rig.writer.written()
        handing = asyncio.create_task(rig.writer.hand_over(OTHER, [rig.parcel("ent_1"), rig.parcel("ent_2")]))
        await asyncio.sleep(LATENCY_S)
        rig.put("ent_1", b"2")
        rig.drop("ent_2")
        rig.put("ent_3")
        await handing
        await rig.writer.written()
        assert await rig.stored() == {"ent_3": b"1"}
        assert await rig.arrived() == {"ent_1": b"1", "ent_2": b"1"}
        assert [drops for _, drops in rig.store.batches] == [{}, {}]

    @pytest.mark.parametrize("weather", ["refusing", "losing", "hanging"])
    @in_virtual_time
    async def test_it_is_tried_until_it_is_definite(self, weather: str) -> None:
        rig = await Rig.start()
        rig.put("ent_1")
        rig.put("ent_2")
        await rig.writer.written()
        rig.store.weather = weather
        handing = asyncio.create_task(rig.hand_over("ent_1"))
        await asyncio.sleep(2.0)
        assert rig.away()
        rig.put("ent_2", b"2")
        waiting = asyncio.create_task(rig.outcome(rig.writer.written()))
        await asyncio.sleep(20.0)
        assert await waiting == (Unavailable, pytest.approx(2.0)), "in turn"
        assert not handing.done()
        assert "ent_1" in rig.memory
        rig.store.clear_up()
        await handing
        await rig.writer.written()
        await asyncio.sleep(5.0)
        assert await rig.stored() == {"ent_2": b"2"} == rig.memory
        assert await rig.arrived() == {"ent_1": b"1"}
        assert not rig.away()

    @in_virtual_time
    async def test_to_a_zone_that_was_discarded(self) -> None:
        rig = await Rig.start()
        rig.put("ent_1")
        await rig.writer.written()
        assert await rig.store.inner.discard(OTHER, 1)
        assert await rig.outcome(rig.hand_over("ent_1")) == (NotFound, pytest.approx(LATENCY_S))
        rig.put("ent_1", b"2")
        await rig.writer.written()
        assert await rig.stored() == {"ent_1": b"2"} == rig.memory
        assert not rig.away()

    @in_virtual_time
    async def test_one_that_is_cancelled_lets_the_others_go_on(self) -> None:
        rig = await Rig.start()
        rig.put("ent_1")
        await rig.writer.written()
        rig.store.weather = "hanging"
        handing = asyncio.create_task(rig.hand_over("ent_1"))
        await asyncio.sleep(LATENCY_S)
        handing.cancel()
        await asyncio.sleep(0)
        rig.store.clear_up()
        rig.put("ent_2")
        assert await rig.outcome(rig.writer.written()) == (None, pytest.approx(TRIP_S))

    @in_virtual_time
    async def test_fenced(self) -> None:
        rig = await Rig.start()
        rig.put("ent_1")
        await rig.writer.written()
        await rig.store.inner.take(ZONE, 1)
        assert (await rig.outcome(rig.hand_over("ent_1")))[0] is Fenced
        assert "ent_1" in rig.memory
        assert rig.fenced == 1
        assert await rig.arrived() == {}


class TestClaim:
    async def send(self, rig: Rig, *names: str) -> None:
        """From the other zone to this one."""
        for name in names:
            rig.memory[name] = b"1"
        entities = {name: (name.replace("ent", "ses"), b"1") for name in names}
        await rig.store.inner.commit(OTHER, 1, entities, {})
        await rig.store.inner.hand_over(OTHER, 1, ZONE, [rig.parcel(name) for name in names])

    @in_virtual_time
    async def test_what_was_handed_over(self) -> None:
        rig = await Rig.start()
        assert await rig.writer.claim() == {}
        await self.send(rig, "ent_1", "ent_2")
        assert await rig.writer.claim() == {"ent_1": b"1", "ent_2": b"1"}
        assert await rig.writer.claim() == {}
        assert len(await rig.stored()) == 2

    @in_virtual_time
    async def test_in_turn(self) -> None:
        rig = await Rig.start()
        await self.send(rig, "ent_1")
        rig.put("ent_2")
        await asyncio.sleep(LATENCY_S)
        assert await rig.outcome(rig.writer.claim()) == (None, pytest.approx(LATENCY_S + TRIP_S))
        assert [name for _, name in rig.store.calls] == ["commit", "claim"]
        assert rig.store.most_at_once == 1

    @pytest.mark.parametrize(("weather", "after"), [("refusing", LATENCY_S), ("losing", TRIP_S), ("hanging", 1.5)])
    @in_virtual_time
    async def test_without_an_answer_it_comes_again(self, weather: str, after: float) -> None:
        rig = await Rig.start()
        await self.send(rig, "ent_1")
        rig.store.weather = weather
        assert await rig.outcome(rig.writer.claim()) == (Unavailable, pytest.approx(after))
        assert rig.away()
        rig.store.clear_up()
        await asyncio.sleep(1.0)
        assert await rig.writer.claim() == {"ent_1": b"1"}
        assert await rig.writer.claim() == {}

    @in_virtual_time
    async def test_nobody_waits_for_long_behind_a_hand_over(self) -> None:
        rig = await Rig.start()
        rig.put("ent_1")
        await rig.writer.written()
        rig.store.weather = "refusing"
        handing = asyncio.create_task(rig.hand_over("ent_1"))
        await asyncio.sleep(0.1)
        assert await rig.outcome(rig.writer.claim()) == (Unavailable, pytest.approx(2.0))
        rig.store.clear_up()
        await handing
        assert await rig.writer.claim() == {}
