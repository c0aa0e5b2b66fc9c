"""What a zone's writer promises: written when it says so, in batches, whatever the store does."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from random import Random

import pytest

from actors.zone.writer import Limits
from cluster.errors import Fenced, Unavailable
from tests.unit.actors.zone.writer_rig import LATENCY_S, ZONE, Rig, in_virtual_time

TRIP_S = 2 * LATENCY_S


class TestGroupCommit:
    @in_virtual_time
    async def test_written_means_in_the_store(self) -> None:
        rig = await Rig.start()
        rig.put("ent_1")
        assert await rig.stored() == {}
        assert await rig.outcome(rig.writer.written()) == (None, pytest.approx(TRIP_S))
        assert await rig.stored() == {"ent_1": b"1"}
        assert await rig.store.inner.zones_of(["ses_1"]) == {"ses_1": ZONE}
        rig.drop("ent_1")
        await rig.writer.written()
        assert await rig.stored() == {}
        assert await rig.store.inner.zones_of(["ses_1"]) == {}
        assert not rig.writer.pending

    @in_virtual_time
    async def test_with_nothing_to_write_nobody_waits(self) -> None:
        rig = await Rig.start()
        assert await rig.outcome(rig.writer.written()) == (None, 0.0)
        rig.put("ent_1")
        await rig.writer.written()
        rig.store.weather = "refusing"
        assert await rig.outcome(rig.writer.written()) == (None, 0.0)
        assert len(rig.store.calls) == 1

    @in_virtual_time
    async def test_what_is_noted_together_is_written_together(self) -> None:
        rig = await Rig.start()
        for n in range(100):
            rig.put(f"ent_{n}")
            rig.put(f"ent_{n}", b"2")
        rig.drop("ent_0")
        await asyncio.gather(*(rig.writer.written() for _ in range(100)))
        assert [(len(puts), drops) for puts, drops in rig.store.batches] == [(99, {"ent_0": "ses_0"})]
        assert set((await rig.stored()).values()) == {b"2"}
        assert (rig.writer.commits, rig.writer.batch) == (1, 100)
        assert rig.writer.batch_s == pytest.approx(TRIP_S)

    @in_virtual_time
    async def test_what_comes_meanwhile_goes_with_the_next(self) -> None:
        rig = await Rig.start()
        for n in range(50):
            rig.put(f"ent_{n}")
            await asyncio.sleep(TRIP_S / 20)
        await rig.writer.written()
        assert 3 <= len(rig.store.batches) <= 5
        assert rig.store.most_at_once == 1
        assert len(await rig.stored()) == 50

    @in_virtual_time
    async def test_one_waits_for_ones_own_and_not_for_later_ones(self) -> None:
        rig = await Rig.start()
        rig.put("ent_1")
        first = asyncio.create_task(rig.outcome(rig.writer.written()))
        await asyncio.sleep(LATENCY_S)
        rig.put("ent_2")
        second = asyncio.create_task(rig.outcome(rig.writer.written()))
        assert await first == (None, pytest.approx(TRIP_S))
        assert await rig.stored() == {"ent_1": b"1"}
        assert await second == (None, pytest.approx(LATENCY_S + TRIP_S))
        assert len(await rig.stored()) == 2

    @in_virtual_time
    async def test_the_newest_record_is_written(self) -> None:
        rig = await Rig.start()
        rig.put("ent_1")
        rig.memory["ent_1"] = b"newer"
        await rig.writer.written()
        assert await rig.stored() == {"ent_1": b"newer"}

    @in_virtual_time
    async def test_who_is_gone_meanwhile(self) -> None:
        rig = await Rig.start()
        rig.put("ent_1")
        del rig.memory["ent_1"]
        assert await rig.outcome(rig.writer.written()) == (None, 0.0)
        assert rig.store.calls == []

    @in_virtual_time
    async def test_out_and_in_again(self) -> None:
        rig = await Rig.start()
        rig.put("ent_1")
        await rig.writer.written()
        rig.drop("ent_1")
        rig.put("ent_1", b"again")
        await rig.writer.written()
        assert await rig.stored() == {"ent_1": b"again"}
        assert await rig.store.inner.zones_of(["ses_1"]) == {"ses_1": ZONE}

    @in_virtual_time
    async def test_a_record_that_cannot_be_made(self) -> None:
        """A bug: nobody is told that it was written, and the others are."""
        rig = await Rig.start()
        rig.put("ent_1")
        rig.memory["ent_2"] = b""
        rig.writer.put("ent_2")
        rig.writer._record_of = lambda name: ("ses_1", b"1") if name == "ent_1" else ("", rig.memory["ent_none"])
        assert await rig.outcome(rig.writer.written()) == (Unavailable, pytest.approx(TRIP_S))
        assert await rig.stored() == {"ent_1": b"1"}
        rig.writer.put("ent_1")
        assert (await rig.outcome(rig.writer.written()))[0] is None


class TestAStoreThatIsAway:
    @pytest.mark.parametrize(
        ("weather", "known_after"), [("refusing", LATENCY_S), ("losing", TRIP_S), ("hanging", 1.5)]
    )
    @in_virtual_time
    async def test_it_is_known_told_and_tried_on(self, weather: str, known_after: float) -> None:
        rig = await Rig.start()
        rig.store.weather = weather
        rig.put("ent_1")
        waiting = asyncio.create_task(rig.outcome(rig.writer.written()))
        await asyncio.sleep(known_after - 0.0001)
        assert not rig.away()
        await asyncio.sleep(0.0002)
        assert rig.away()
        assert await waiting == (Unavailable, pytest.approx(2.0))
        assert len(rig.writer._waiting) == 0
        await asyncio.sleep(30.0)
        rig.put("ent_1", b"2")
        rig.put("ent_2")
        rig.store.clear_up()
        assert (await rig.outcome(rig.writer.written()))[1] < 1.0 + TRIP_S
        assert not rig.away()
        assert await rig.stored() == {"ent_1": b"2", "ent_2": b"1"}
        await asyncio.sleep(5.0)
        assert await rig.stored() == {"ent_1": b"2", "ent_2": b"1"}, "what was given up changes nothing"
        assert 10 < rig.writer.failures < len(rig.store.batches) < 60

    @pytest.mark.parametrize("seed", range(3))
    @in_virtual_time
    async def test_the_pauses_grow_up_to_a_second_and_differ(self, seed: int) -> None:
        rig = await Rig.start(seed=seed)
        rig.store.weather = "refusing"
        rig.put("ent_1")
        await asyncio.sleep(20.0)
        tries = rig.store.when("commit")
        pauses = [later - sooner - LATENCY_S for sooner, later in pairwise(tries)]
        for number, pause in enumerate(pauses):
            most = min(1.0, 0.05 * 2**number)
            assert most / 2 - 1e-6 <= pause <= most + 1e-6
        assert len(set(pauses)) == len(pauses)
        assert 20 < len(tries) < 50

    @in_virtual_time
    async def test_new_notes_do_not_hurry_it(self) -> None:
        rig = await Rig.start()
        rig.store.weather = "refusing"
        for n in range(2_000):
            rig.put(f"ent_{n % 10}")
            await asyncio.sleep(0.01)
        assert len(rig.store.calls) < 50

    @in_virtual_time
    async def test_its_return_is_noticed_with_nothing_to_write(self) -> None:
        rig = await Rig.start()
        rig.store.weather = "refusing"
        assert await rig.outcome(rig.writer.claim()) == (Unavailable, pytest.approx(LATENCY_S))
        assert rig.away()
        await asyncio.sleep(20.0)
        assert 40 <= len(rig.store.when("owner")) <= 100
        rig.store.clear_up()
        await asyncio.sleep(0.5 + TRIP_S)
        assert not rig.away()
        asked = len(rig.store.calls)
        await asyncio.sleep(60.0)
        assert len(rig.store.calls) == asked, "no more than it must"

    @in_virtual_time
    async def test_a_bug_of_the_store_is_not_the_end(self) -> None:
        rig = await Rig.start()
        rig.store.broken = ValueError("a bug")
        rig.put("ent_1")
        assert await rig.outcome(rig.writer.written()) == (None, pytest.approx(TRIP_S, abs=0.06))
        assert (rig.writer.failures, rig.away()) == (1, False)

    @in_virtual_time
    async def test_those_who_wait_are_bounded(self) -> None:
        rig = await Rig.start(Limits(waiting=3))
        rig.store.weather = "hanging"
        rig.put("ent_1")
        waiting = [asyncio.create_task(rig.outcome(rig.writer.written())) for _ in range(5)]
        await asyncio.sleep(0)
        assert [await task for task in waiting[3:]] == [(Unavailable, 0.0)] * 2
        waiting[0].cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting[0] = asyncio.create_task(rig.outcome(rig.writer.written()))
        await asyncio.sleep(0)
        assert len(rig.writer._waiting) == 3
        rig.store.clear_up()
        assert [error for error, _ in [await task for task in waiting[:3]]] == [None] * 3
        assert len(rig.writer._waiting) == 0


class TestTheEnd:
    @in_virtual_time
    async def test_fenced(self) -> None:
        rig = await Rig.start()
        await rig.store.inner.take(ZONE, 1)
        rig.put("ent_1")
        results = await asyncio.gather(*(rig.outcome(rig.writer.written()) for _ in range(3)))
        assert [error for error, _ in results] == [Fenced] * 3
        rig.put("ent_2")
        for late in (rig.writer.written(), rig.writer.claim(), rig.hand_over("ent_1")):
            assert (await rig.outcome(late))[0] is Fenced
        assert rig.loop is not None
        await rig.loop
        assert rig.fenced == 1
        assert await rig.stored() == await rig.arrived() == {}
        assert "ent_1" in rig.memory

    @in_virtual_time
    async def test_fenced_by_a_claim(self) -> None:
        """Whoever finds out, all end."""
        rig = await Rig.start()
        await rig.store.inner.take(ZONE, 1)
        assert (await rig.outcome(rig.writer.claim()))[0] is Fenced
        assert rig.loop is not None
        await rig.loop
        assert rig.fenced == 1

    @pytest.mark.parametrize("weather", ["refusing", "hanging"])
    @in_virtual_time
    async def test_stopped_while_the_store_is_away(self, weather: str) -> None:
        rig = await Rig.start()
        rig.store.weather = weather
        rig.put("ent_1")
        waiting = asyncio.create_task(rig.outcome(rig.writer.written()))
        handing = asyncio.create_task(rig.outcome(rig.hand_over("ent_1")))
        await asyncio.sleep(1.0)
        rig.writer.stop()
        assert await waiting == (Unavailable, pytest.approx(1.0))
        assert rig.loop is not None
        assert (await rig.outcome(rig.loop))[1] <= 1.5
        assert (await handing)[0] is Unavailable
        assert await rig.outcome(rig.writer.written()) == (Unavailable, 0.0)

    @in_virtual_time
    async def test_stopped_when_all_is_written(self) -> None:
        rig = await Rig.start()
        rig.put("ent_1")
        await rig.writer.written()
        await rig.end()
        assert await rig.outcome(rig.writer.written()) == (None, 0.0)
        assert (await rig.outcome(rig.writer.claim()))[0] is Unavailable

    @in_virtual_time
    async def test_a_loop_that_was_cancelled_leaves_nobody_waiting(self) -> None:
        rig = await Rig.start()
        rig.put("ent_1")
        waiting = asyncio.create_task(rig.outcome(rig.writer.written()))
        await asyncio.sleep(LATENCY_S / 2)
        assert rig.loop is not None
        rig.loop.cancel()
        assert await waiting == (Unavailable, pytest.approx(LATENCY_S / 2))


@pytest.mark.parametrize("seed", range(8))
@in_virtual_time
async def test_nothing_acknowledged_is_ever_missing(seed: int) -> None:
    """At random: changes, ends, and a store that is away in every way."""
    rng, rig = Random(seed), await Rig.start(seed=seed)
    acknowledged = refused = 0

    async def change(number: int) -> None:
        nonlocal acknowledged, refused
        name = f"ent_{number % 7}"
        dropped = name in rig.memory and rng.random() < 0.2
        if dropped:
            rig.drop(name)
        else:
            rig.put(name, b"%d" % number)
        error, seconds = await rig.outcome(rig.writer.written())
        assert seconds <= 2.0 + 1e-6
        if error is not None:
            refused += 1
            return
        acknowledged += 1
        # Another change of it may be on its way, or there.
        stored = (await rig.stored()).get(name)
        assert stored is None or int(stored) >= number or dropped
        assert stored is not None or dropped or rig.memory.get(name) != b"%d" % number

    async def weather() -> None:
        while True:
            await asyncio.sleep(rng.uniform(0.5, 4.0))
            rig.store.weather = rng.choice(("refusing", "losing", "hanging"))
            await asyncio.sleep(rng.uniform(0.1, 5.0))
            rig.store.clear_up()

    changing = asyncio.create_task(weather())
    tasks = []
    for number in range(600):
        tasks.append(asyncio.create_task(change(number)))
        await asyncio.sleep(rng.expovariate(10.0))
    await asyncio.gather(*tasks)
    changing.cancel()
    rig.store.clear_up()
    await asyncio.sleep(1.0 + TRIP_S)
    await rig.writer.written()
    assert await rig.stored() == rig.memory
    assert rig.store.most_at_once == 1
    assert acknowledged > 100
    assert refused > 20
    await asyncio.sleep(10.0)
    assert await rig.stored() == rig.memory, "what was given up changes nothing"
