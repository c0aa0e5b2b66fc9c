"""Shared limits while their store is slow or away: open or closed, soon, and said once."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest
from structlog.testing import capture_logs

from cluster import limiting
from cluster.adapters.memory.limits import MemoryLimiter
from cluster.errors import Unavailable
from cluster.limiting import SharedLimits


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Store(MemoryLimiter):
    """`away`: refuses; `stuck`: never answers."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.away = self.stuck = False
        self.asked = 0

    async def take(self, key: str, per_s: float, burst: int) -> float:
        self.asked += 1
        if self.stuck:
            await asyncio.Event().wait()
        if self.away:
            raise Unavailable("redis")
        return await super().take(key, per_s, burst)


class Rig:
    def __init__(self, without_store: Literal["open", "closed"]) -> None:
        self.clock = Clock()
        self.store = Store(self.clock)
        self.limits = SharedLimits(self.store, without_store, self.clock)

    async def takes(self, count: int, key: str = "a", burst: int = 3) -> list[bool]:
        return [await self.limits.take(key, 0.01, burst) == 0.0 for _ in range(count)]


@pytest.mark.parametrize("without_store", ["open", "closed"])
async def test_with_the_store_it_is_the_store_s(without_store: Literal["open", "closed"]) -> None:
    rig = Rig(without_store)
    assert await rig.takes(5) == [True] * 3 + [False] * 2
    assert 90.0 < await rig.limits.take("a", 0.01, 3) <= 100.0
    assert dict(rig.limits.counts) == {"allowed": 3, "refused": 3, "open": 0, "open_refused": 0, "closed": 0}


async def test_closed_refuses_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig("closed")
    rig.store.away = True
    for _ in range(3):
        with pytest.raises(Unavailable):
            await rig.takes(1)
    assert rig.limits.counts["closed"] == 3
    assert rig.store.asked == 1, "nobody asks again at once"
    rig.store.away = False
    rig.clock.now += limiting.PAUSE_S
    assert await rig.takes(4) == [True] * 3 + [False]


async def test_open_limits_alone() -> None:
    rig = Rig("open")
    rig.store.away = True
    assert await rig.takes(5) == [True] * 3 + [False] * 2
    assert await rig.takes(2, key="b") == [True] * 2
    assert (rig.limits.counts["open"], rig.limits.counts["open_refused"]) == (5, 2)
    rig.store.away = False
    rig.clock.now += limiting.PAUSE_S
    assert await rig.takes(4) == [True] * 3 + [False], "the store knows nothing of it"


async def test_a_store_that_comes_and_goes_refills_nothing() -> None:
    rig, let_in = Rig("open"), 0
    for _ in range(10):
        rig.store.away = True
        let_in += sum(await rig.takes(5))
        rig.store.away = False
        rig.clock.now += limiting.PAUSE_S
        let_in += sum(await rig.takes(5))
    assert let_in == 3 + 3, "one burst of the store's, and one alone"


async def test_what_is_full_again_is_forgotten() -> None:
    rig = Rig("open")
    rig.store.away = True
    await rig.takes(3, "a")
    rig.clock.now += 300.0
    await rig.takes(3, "b")
    rig.store.away = False
    rig.clock.now += limiting.PAUSE_S
    await rig.takes(1, "c")
    assert list(rig.limits._alone) == ["b"]
    rig.store.away = True
    assert await rig.takes(4, "a") == [True] * 3 + [False]


async def test_what_is_remembered_alone_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiting, "MOST_ALONE", 3)
    rig = Rig("open")
    rig.store.away = True
    for number in range(10):
        await rig.takes(3, key=str(number))
    assert list(rig.limits._alone) == ["7", "8", "9"]


@pytest.mark.parametrize("without_store", ["open", "closed"])
async def test_it_is_said_once_each_way(without_store: Literal["open", "closed"]) -> None:
    rig = Rig(without_store)
    with capture_logs() as logs:
        for away in (False, True, True, False, False, True):
            rig.store.away = away
            rig.clock.now += limiting.PAUSE_S
            for _ in range(3):
                try:
                    await rig.takes(1)
                except Unavailable:
                    assert without_store == "closed"
    assert [(line["event"], line.get("fails")) for line in logs] == [
        ("limits_without_store", without_store),
        ("limits_with_store", None),
        ("limits_without_store", without_store),
    ]


async def test_nobody_waits_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limiting, "DEADLINE_S", 0.01)
    rig = Rig("open")
    rig.store.stuck = True
    async with asyncio.timeout(5.0):
        assert await rig.takes(5) == [True] * 3 + [False] * 2
    assert rig.store.asked == 1
