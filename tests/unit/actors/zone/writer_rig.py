"""A zone's writer over a store far away, in virtual time."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from random import Random
from typing import Any

from actors.zone.writer import DEFAULT, Limits, Writer
from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.zones import MemoryZoneStore
from cluster.errors import RealmError, Unavailable
from cluster.ports.zones import Parcel
from tests.simulation.virtual_time import run

ZONE, OTHER = "zon_a", "zon_b"
LATENCY_S = 0.001


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def running(*args: Any, **kwargs: Any) -> None:
        run(lambda: test(*args, **kwargs))

    return running


class FarStore:
    """A store behind a network. Whoever gives a call up cannot call it back: it runs when it arrives.

    `weather` is "fine", "refusing" (nothing arrives), "losing" (no answer comes back) or "hanging" (everything stands still
    until it is fine again). `calls`: (when, what) of every call that was made. `broken`: raised in place of the next one.
    """

    def __init__(self) -> None:
        self.epochs = MemoryEpochStore()
        self.inner = MemoryZoneStore(self.epochs, self._way)
        self.weather = "fine"
        self.calls: list[tuple[float, str]] = []
        self.batches: list[tuple[dict[str, Any], dict[str, str]]] = []
        self.broken: Exception | None = None
        self.at_once = 0  # calls that somebody waits for
        self.most_at_once = 0
        self._fine = asyncio.Event()
        self._running: set[asyncio.Task[Any]] = set()
        self._answering: set[asyncio.Task[Any]] = set()

    def clear_up(self) -> None:
        self.weather = "fine"
        self._fine.set()
        self._fine = asyncio.Event()

    async def _way(self) -> None:
        await asyncio.sleep(LATENCY_S)
        task = asyncio.current_task()
        assert task is not None
        back = task in self._answering
        self._answering.add(task)
        if self.weather == "hanging":
            await self._fine.wait()
        elif self.weather == "refusing" or (self.weather == "losing" and back):
            raise Unavailable("redis")

    async def _send(self, name: str, call: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        self.calls.append((asyncio.get_running_loop().time(), name))
        if name == "commit":
            self.batches.append((dict(args[2]), dict(args[3])))
        if self.broken is not None:
            error, self.broken = self.broken, None
            raise error

        async def arrive() -> Any:
            if name == "owner":
                await self._way()
            return await call(*args)

        task = asyncio.create_task(arrive())
        self._running.add(task)
        task.add_done_callback(self._ran)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await asyncio.shield(task)
        finally:
            self.at_once -= 1

    def _ran(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        self._answering.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may wait for it any more

    def __getattr__(self, name: str) -> Any:
        return functools.partial(self._send, name, getattr(self.inner, name))

    def when(self, name: str) -> list[float]:
        return [at for at, called in self.calls if called == name]


class Rig:
    """`memory` is the zone's: entity id -> record; the session of `ent_1` is `ses_1`."""

    def __init__(self, store: FarStore, writer: Writer) -> None:
        self.store = store
        self.writer = writer
        self.memory: dict[str, bytes] = {}
        self.fenced = 0
        self.loop: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, limits: Limits = DEFAULT, seed: int = 0) -> Rig:
        store = FarStore()
        for zone in (ZONE, OTHER):
            await store.inner.take(zone, 0)

        def record(entity_id: str) -> tuple[str, bytes] | None:
            found = rig.memory.get(entity_id)
            return None if found is None else (session(entity_id), found)

        def fenced() -> None:
            rig.fenced += 1

        remote: Any = store
        clock = asyncio.get_running_loop().time
        rig = cls(store, Writer(ZONE, 1, remote, lambda name: record(name), clock, Random(seed), fenced, limits))
        rig.loop = asyncio.create_task(rig.writer.run())
        return rig

    def put(self, entity_id: str, record: bytes = b"1") -> None:
        self.memory[entity_id] = record
        self.writer.put(entity_id)

    def drop(self, entity_id: str) -> None:
        del self.memory[entity_id]
        self.writer.drop(entity_id, session(entity_id))

    def parcel(self, entity_id: str, transfer: int = 1) -> Parcel:
        return Parcel(entity_id, session(entity_id), transfer, self.memory[entity_id])

    async def hand_over(self, *entity_ids: str) -> None:
        """As an owner does: what went is no more in memory at once."""

        def done() -> None:
            for entity_id in entity_ids:
                del self.memory[entity_id]

        await self.writer.hand_over(OTHER, [self.parcel(entity_id) for entity_id in entity_ids], done)

    async def stored(self, zone_id: str = ZONE) -> dict[str, bytes]:
        return (await self.store.inner.load(zone_id)).entities

    async def arrived(self) -> dict[str, bytes]:
        return (await self.store.inner.load(OTHER)).arrivals

    def away(self) -> bool:
        return self.writer.away

    async def outcome(self, waiting: Awaitable[Any]) -> Any:
        """(what is raised or None, after how many seconds)"""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            await waiting
        except RealmError as error:
            return type(error), clock() - began
        return None, clock() - began

    async def end(self) -> None:
        self.writer.stop()
        if self.loop is not None:
            with suppress(asyncio.CancelledError):
                await self.loop


def session(entity_id: str) -> str:
    return entity_id.replace("ent", "ses")
