"""What a look at the store costs: what is new, in pages, and one for all who ask."""

from __future__ import annotations

import asyncio
import time

import pytest

from cluster.adapters.memory import protection as memory
from cluster.adapters.memory.protection import MemoryProtection
from cluster.errors import Unavailable
from cluster.guarding import Guarding
from cluster.ports.protection import Protection, Revocation
from cluster.realm import Realm
from cluster.security.keys import KeyRing
from cluster.settings import Settings
from tests.unit.cluster.guarded import NOW, Store, until, whom
from tests.unit.serve_apps.gateway.fakes import checker_of


def a_revocation(n: int, until: float = NOW + 3_600.0) -> Revocation:
    return Revocation("family", f"fam_{n}", 0.0, until)


class TestChanges:
    """A look brings what is new, in pages; what there is already is not touched."""

    @pytest.fixture(autouse=True)
    def pages_of_four(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(memory, "PAGE", 4)

    async def test_listeners_are_told_what_has_changed(self) -> None:
        store, heard = Store(), list[Protection]()
        for n in range(10):
            await store.revoke(a_revocation(n))
        guard = Guarding(store, 60.0, lambda: NOW)
        guard.listeners.append(heard.append)
        await guard.refresh()
        assert [len(each.revocations) for each in heard] == [4, 4, 2]
        assert all(each.since >= 0 for each in heard), "each adds to the one before"
        await store.revoke(a_revocation(10))
        await guard.refresh()
        assert [each.revocations for each in heard[3:]] == [(a_revocation(10),)]
        assert set(guard.current.revocations) == {a_revocation(n) for n in range(11)}
        assert (guard.current.since, guard.current.version) == (-1, 11)

    async def test_while_everything_is_loaded_again_the_old_bans_hold(self) -> None:
        stores, gate, pages = [Store(), Store()], asyncio.Event(), list[Protection]()
        await stores[0].ban("203.0.113.7/32", None, "kept", "test")
        await stores[0].ban("203.0.113.8/32", None, "lost", "test")
        for n in range(5):
            await stores[1].ban(f"198.51.100.{n}/32", None, "new", "test")
        await stores[1].ban("203.0.113.7/32", None, "kept", "test")

        class Lost(Store):
            async def changes(self, known: int, cursor: int = -1) -> Protection | None:
                if len(stores) == 2:
                    return await stores[0].changes(known, cursor)
                page = await stores[0].changes(-1, cursor)  # what it has now begins anew
                assert page is not None
                pages.append(page)
                if page.since != -1:
                    await gate.wait()
                return page

        guard = Guarding(Lost(), 60.0, lambda: NOW)
        await guard.refresh()
        stores.pop(0)
        look = asyncio.create_task(guard.refresh())
        await until(lambda: len(pages) == 2)
        assert whom(guard.banned("203.0.113.7", NOW)) == "203.0.113.7/32"
        gate.set()
        await look
        assert whom(guard.banned("203.0.113.7", NOW)) == "203.0.113.7/32"
        assert whom(guard.banned("198.51.100.4", NOW)) == "198.51.100.4/32"
        assert guard.banned("203.0.113.8", NOW) is None, "the store has it no more"

    async def test_what_is_over_does_not_pile_up(self) -> None:
        now = [NOW]
        store = MemoryProtection(lambda: now[0])
        guard = Guarding(store, 60.0, lambda: now[0])
        for n in range(100):
            await store.revoke(a_revocation(n, now[0] + 5.0))
            await store.ban(f"203.0.113.{n}", 5.0, "", "")
            await guard.refresh()
            now[0] += 1.0
        assert len(guard.current.revocations) <= 6
        assert len(guard.current.bans) <= 6

    async def test_one_more_among_many_costs_what_it_costs_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The twin looks through all it has; so that answer is ready here, and what is measured is what Guarding does with it."""
        monkeypatch.setattr(memory, "PAGE", 200_000)

        async def cost_s(there: int) -> float:
            first = Protection(1, (), tuple(a_revocation(n) for n in range(there)))
            ready = [first]

            class Ready(Store):
                async def changes(self, known: int, cursor: int = -1) -> Protection | None:
                    return ready.pop() if ready else None

            guard = Guarding(Ready(), 60.0, lambda: NOW)
            guard.listeners.append(lambda changed: checker.learn(changed, NOW))
            checker = checker_of(Realm(Settings(realm="test"), KeyRing.create(NOW), b"x" * 32))
            await guard.refresh()
            best = 1.0
            for n in range(10):
                ready.append(Protection(2 + n, (), (a_revocation(-1 - n),), since=1 + n))
                began = time.perf_counter()
                await guard.refresh()
                best = min(best, time.perf_counter() - began)
            assert len(checker.revoked) == there + 10
            return best

        assert await cost_s(50_000) < 0.005


class TestManyAtOnce:
    async def test_all_who_ask_share_the_next_look(self) -> None:
        """With a store at 50 ms, 300 who ask at once wait for two looks and not for 300."""
        gate, began = asyncio.Semaphore(0), list[int]()

        class Slow(Store):
            async def changes(self, known: int, cursor: int = -1) -> Protection | None:
                began.append(known)
                await gate.acquire()
                return await super().changes(known, cursor)

        store = Slow()
        guard = Guarding(store, 60.0)
        first = asyncio.create_task(guard.refresh())
        await until(lambda: len(began) == 1)
        await store.ban("203.0.113.7/32", None, "because", "test")
        many = [asyncio.create_task(guard.refresh()) for _ in range(300)]
        await asyncio.sleep(0)
        gate.release()
        await first
        assert not any(each.done() for each in many), "a look that began before they asked is not theirs"
        gate.release()
        await asyncio.gather(*many)
        assert len(began) == 2
        assert whom(guard.banned("203.0.113.7", NOW)) == "203.0.113.7/32"

    async def test_one_who_gives_up_takes_it_from_nobody(self) -> None:
        gate = asyncio.Event()

        class Slow(Store):
            async def changes(self, known: int, cursor: int = -1) -> Protection | None:
                await gate.wait()
                return await super().changes(known, cursor)

        guard = Guarding(Slow(), 60.0)
        one, other = (asyncio.create_task(guard.refresh()) for _ in range(2))
        await asyncio.sleep(0)
        one.cancel()
        gate.set()
        await other
        assert guard._known == 0

    async def test_each_hears_of_an_outage(self) -> None:
        store = Store()
        store.away = True
        guard = Guarding(store, 60.0)
        answers = await asyncio.gather(*(guard.refresh() for _ in range(5)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [Unavailable] * 5
        assert store.loads == 1

    async def test_a_store_that_never_answers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cluster.guarding.LOAD_S", 0.01)

        class Silent(Store):
            async def changes(self, known: int, cursor: int = -1) -> Protection | None:
                await asyncio.Event().wait()
                return None

        guard = Guarding(Silent(), 60.0)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await guard.refresh()
