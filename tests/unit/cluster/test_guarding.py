"""The newest bans in one process: found fast, held through outages, told of at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from cluster.adapters.memory.bus import MemoryBus
from cluster.errors import Unavailable
from cluster.guarding import Guarding, start_guarding, tell_change
from cluster.ports.protection import NetworkBan, Protection
from cluster.subjects import Subjects
from tests.unit.cluster.guarded import NOW, Store, until, whom

SUBJECTS = Subjects("test")
DEADLINE_S = 5.0


async def guarding(*networks: str) -> Guarding:
    store = Store()
    for network in networks:
        await store.ban(network, None, "because", "test")
    made = Guarding(store, 60.0)
    await made.refresh()
    return made


class TestBanned:
    async def test_addresses_and_networks(self) -> None:
        guard = await guarding("203.0.113.7/32", "198.51.100.0/24", "2001:db8::/48", "2001:db8:1::9/128")
        for address, network in (
            ("203.0.113.7", "203.0.113.7/32"),
            ("203.0.113.8", ""),
            ("198.51.100.255", "198.51.100.0/24"),
            ("198.51.101.0", ""),
            ("2001:db8:0:ffff::1", "2001:db8::/48"),
            ("2001:db8:1::9", "2001:db8:1::9/128"),
            ("2001:db8:1::8", ""),
            ("::ffff:198.51.100.3", "198.51.100.0/24"),
            ("fe80::1%eth0", ""),
            ("", ""),
            ("testclient", ""),
        ):
            assert whom(guard.banned(address, NOW)) == network, address

    async def test_all_there_is(self) -> None:
        guard = await guarding("0.0.0.0/0")
        assert whom(guard.banned("192.0.2.1", NOW)) == "0.0.0.0/0"
        assert guard.banned("2001:db8::1", NOW) is None

    async def test_the_narrowest_that_still_holds(self) -> None:
        store = Store()
        await store.ban("203.0.113.0/24", None, "wide", "test")
        await store.ban("203.0.113.7/32", 60.0, "narrow", "test")
        guard = Guarding(store, 60.0)
        await guard.refresh()
        assert whom(guard.banned("203.0.113.7", NOW + 59.0)) == "203.0.113.7/32"
        assert whom(guard.banned("203.0.113.7", NOW + 61.0)) == "203.0.113.0/24"

    async def test_none_before_the_first_look(self) -> None:
        assert Guarding(Store(), 60.0).banned("203.0.113.7", NOW) is None

    async def test_ten_thousand_cost_what_one_costs(self) -> None:
        def cost_s(guard: Guarding) -> float:
            def once() -> float:
                began = time.perf_counter()
                for _ in range(500):
                    guard.banned("192.0.2.1", NOW)
                return time.perf_counter() - began

            return min(once() for _ in range(20))

        many = [f"10.{n >> 8}.{n & 255}.0/24" for n in range(9_998)]
        few = await guarding("10.0.0.0/24", "203.0.113.7/32")
        assert cost_s(await guarding(*many, "203.0.113.7/32")) < 3.0 * cost_s(few)


class TestRefreshing:
    async def test_what_is_lifted_is_no_more(self) -> None:
        store = Store()
        guard = Guarding(store, 60.0)
        await store.ban("203.0.113.7/32", None, "because", "test")
        await guard.refresh()
        await store.lift("203.0.113.7/32")
        assert whom(guard.banned("203.0.113.7", NOW)) == "203.0.113.7/32"
        await guard.refresh()
        assert guard.banned("203.0.113.7", NOW) is None
        assert guard.current.version == 2

    async def test_listeners_hear_of_changes_only(self) -> None:
        store, heard = Store(), list[int]()
        guard = Guarding(store, 60.0)

        def fails(_: Protection) -> None:
            raise RuntimeError("a bug")

        guard.listeners += [fails, lambda changed: heard.append(len(changed.bans))]
        with capture_logs() as logs:
            await guard.refresh()
            await guard.refresh()
            await store.ban("203.0.113.7/32", None, "because", "test")
            await guard.refresh()
        assert heard == [0, 1]
        assert [line["event"] for line in logs] == ["listener_failed"] * 2

    async def test_an_outage_changes_nothing(self) -> None:
        store = Store()
        await store.ban("203.0.113.7/32", None, "because", "test")
        guard = Guarding(store, 60.0)
        await guard.refresh()
        store.away = True
        with pytest.raises(Unavailable):
            await guard.refresh()
        assert whom(guard.banned("203.0.113.7", NOW)) == "203.0.113.7/32"

    async def test_looks_follow_each_other(self) -> None:
        """An answer that is late must not undo a newer one."""
        gate, store = asyncio.Event(), Store()

        class Late(Store):
            async def changes(self, known: int, cursor: int = -1) -> Protection | None:
                loaded = await store.changes(known, cursor)
                if loaded is not None and not loaded.bans:
                    await gate.wait()
                return loaded

        guard = Guarding(Late(), 60.0)
        first = asyncio.create_task(guard.refresh())
        await asyncio.sleep(0)
        await store.ban("203.0.113.7/32", None, "because", "test")
        second = asyncio.create_task(guard.refresh())
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, second)
        assert whom(guard.banned("203.0.113.7", NOW)) == "203.0.113.7/32"

    async def test_a_ban_that_cannot_be_read_hides_no_other(self) -> None:
        class Odd(Store):
            async def changes(self, known: int, cursor: int = -1) -> Protection | None:
                bans = (NetworkBan("nonsense", None, "", ""), NetworkBan("203.0.113.7/32", None, "", ""))
                return Protection(1, bans)

        guard = Guarding(Odd(), 60.0)
        with capture_logs() as logs:
            await guard.refresh()
        assert whom(guard.banned("203.0.113.7", NOW)) == "203.0.113.7/32"
        assert [line["event"] for line in logs] == ["ban_unreadable"]


class TestRunning:
    """The loop, with the bus that tells it."""

    @pytest.fixture
    async def bus(self) -> AsyncIterator[MemoryBus]:
        bus = MemoryBus()
        yield bus
        await bus.close()

    async def changed(self, guard: Guarding) -> asyncio.Event:
        event = asyncio.Event()
        guard.listeners.append(lambda _: event.set())
        return event

    async def test_the_bus_tells_at_once(self, bus: MemoryBus) -> None:
        store = Store()

        async def first(step: Callable[[], Awaitable[None]]) -> None:
            await step()

        guard, keeping = await start_guarding(store, bus, SUBJECTS, 3_600.0, first)
        event = await self.changed(guard)
        await store.ban("203.0.113.7/32", None, "because", "test")
        tell_change(bus, SUBJECTS)
        async with asyncio.timeout(DEADLINE_S):
            await event.wait()
        assert whom(guard.banned("203.0.113.7", NOW)) == "203.0.113.7/32"
        keeping.cancel()

    async def test_without_the_bus_it_is_the_period(self) -> None:
        store = Store()
        guard = Guarding(store, 0.01)
        event = await self.changed(guard)
        keeping = asyncio.create_task(guard.run())
        await store.ban("203.0.113.7/32", None, "because", "test")
        async with asyncio.timeout(DEADLINE_S):
            await event.wait()
        keeping.cancel()
        assert len(guard.current.bans) == 1

    async def test_many_notices_are_one_look(self) -> None:
        store = Store()
        guard = Guarding(store, 3_600.0)
        event = await self.changed(guard)
        keeping = asyncio.create_task(guard.run())
        for _ in range(1_000):
            guard.told()
        async with asyncio.timeout(DEADLINE_S):
            await event.wait()
        keeping.cancel()
        assert store.loads == 1

    async def test_an_outage_is_logged_as_it_begins_and_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cluster.guarding.PAUSE_S", 0.0)
        store = Store()
        store.away = True
        guard = Guarding(store, 0.001)
        with capture_logs() as logs:
            keeping = asyncio.create_task(guard.run())
            await until(lambda: store.loads == 3)
            store.away = False
            await until(lambda: len(logs) == 2)
            keeping.cancel()
        assert [line["event"] for line in logs] == ["protection_held", "protection_back"]
