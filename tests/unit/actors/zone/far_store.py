"""A zone store behind a network that each zone has its own way through."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Literal

from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.zones import MemoryZoneStore
from cluster.errors import Unavailable

Weather = Literal["fine", "refusing", "losing", "hanging"]

LATENCY_S = 0.001


class Way:
    """One zone's way to the store, with the methods of ZoneStore. Whoever gives a call up cannot call it back: it runs when it
    arrives.

    `weather` is "fine", "refusing" (nothing arrives), "losing" (no answer comes back) or "hanging" (everything stands still until
    it is fine again). `flaky`: how often a call is lost all the same, 0 to 1; half of those arrive.
    """

    def __init__(self, stores: FarStores, rng: Random) -> None:
        self.weather: Weather = "fine"
        self.flaky = 0.0
        self._stores = stores
        self._rng = rng
        self._fine = asyncio.Event()

    def clear_up(self) -> None:
        self.weather = "fine"
        self._fine.set()
        self._fine = asyncio.Event()

    async def passes(self, back: bool) -> None:
        await asyncio.sleep(LATENCY_S)
        if self.weather == "hanging":
            await self._fine.wait()
        elif self.weather == "refusing" or (self.weather == "losing" and back):
            raise Unavailable("redis")
        if self._rng.random() < self.flaky / 2:
            raise Unavailable("redis")

    def __getattr__(self, name: str) -> Any:
        return functools.partial(self._stores.send, self, name)


class FarStores:
    """`inner` is what is kept; `way()` makes a zone's way to it."""

    def __init__(self, epochs: MemoryEpochStore) -> None:
        self.inner = MemoryZoneStore(epochs, self._on_the_way)
        self._running: set[asyncio.Task[Any]] = set()
        self._traveller: contextvars.ContextVar[Callable[[], Awaitable[None]] | None] = contextvars.ContextVar(
            "traveller", default=None
        )

    def way(self, rng: Random) -> Way:
        return Way(self, rng)

    async def _on_the_way(self) -> None:
        passes = self._traveller.get()
        if passes is not None:
            await passes()

    async def send(self, way: Way, name: str, *args: Any) -> Any:
        async def arrive() -> Any:
            trips = 0

            async def passes() -> None:
                nonlocal trips
                trips += 1
                await way.passes(back=trips > 1)

            self._traveller.set(passes)
            if name in ("owner", "load", "zones_of"):  # which the memory store answers at once
                await passes()
            return await getattr(self.inner, name)(*args)

        task = asyncio.create_task(arrive())
        self._running.add(task)
        task.add_done_callback(self._ran)
        return await asyncio.shield(task)

    def _ran(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may wait for it any more
