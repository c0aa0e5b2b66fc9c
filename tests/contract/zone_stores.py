"""What the tests of zone stores share: the stores, and a network that holds writes up and loses answers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.world import MemoryWorldStore
from cluster.adapters.memory.zones import MemoryZoneStore
from cluster.adapters.redis import world, zones
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.epochs import RedisEpochStore
from cluster.adapters.redis.world import RedisWorldStore
from cluster.adapters.redis.zones import RedisZoneStore
from cluster.errors import Unavailable
from cluster.ports.epochs import EpochStore
from cluster.ports.zones import Parcel, WorldStore, ZoneStore
from cluster.settings import RedisSettings

T = TypeVar("T")

A, B, C = "zon_a", "zon_b", "zon_c"
BYTES = bytes(range(256))
NOW = 1_800_000_000.123456
SCRIPTS = (zones.TAKE, zones.COMMIT, zones.HAND_OVER, zones.CLAIM, zones.PLACES, zones.DISCARD, world.SAVE)


@dataclass(frozen=True)
class Held:
    """A message that stays on its way until `arrive`; `reached`: it is there."""

    reached: asyncio.Event
    arrive: asyncio.Event


class Network:
    """What happens to the next messages, in their order: a write has one there and one back. Nothing said: it arrives."""

    def __init__(self) -> None:
        self.next: deque[Held | Exception | None] = deque()

    async def __call__(self) -> None:
        what = self.next.popleft() if self.next else None
        if isinstance(what, Held):
            what.reached.set()
            await what.arrive.wait()
        elif what is not None:
            raise what

    async def hold(self, write: Awaitable[T]) -> tuple[asyncio.Task[T], asyncio.Event]:
        """Let the write begin and stay on its way until the event is set."""
        held = Held(asyncio.Event(), asyncio.Event())
        self.next.append(held)

        async def work() -> T:
            return await write

        task = asyncio.create_task(work())
        await held.reached.wait()
        return task, held.arrive

    async def lose_answer(self, write: Awaitable[Any]) -> None:
        """Let the write be done, and its caller not hear of it."""
        self.next.extend((None, Unavailable("redis")))
        with pytest.raises(Unavailable):
            await write
        assert not self.next


class OverNetwork:
    """A client whose scripts take the way over the network. `sends`: how often a command goes out for one call."""

    def __init__(self, client: Redis, network: Network) -> None:
        self.sends = 1
        self._client = client
        self._network = network

    async def evalsha(self, *args: Any) -> Any:
        await self._network()
        for _ in range(self.sends):
            answer = await self._client.evalsha(*args)
        await self._network()
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@dataclass(frozen=True)
class Stores:
    """`zones` and `other` are of two processes; `network` carries the writes of `zones` and `world`."""

    zones: ZoneStore
    other: ZoneStore
    world: WorldStore
    epochs: EpochStore
    network: Network
    answered: dict[tuple[str, int], int] = field(default_factory=dict)

    async def claim(self, zone_id: str, epoch: int, by: ZoneStore | None = None) -> dict[str, bytes]:
        """As an incarnation does: it says which of its claims it has heard of."""
        claimed = await (by or self.zones).claim(zone_id, epoch, self.answered.get((zone_id, epoch), 0))
        self.answered[zone_id, epoch] = claimed.number
        return claimed.records

    async def has(self, zone_id: str) -> dict[str, bytes]:
        return (await self.zones.load(zone_id)).entities

    async def arrivals(self, zone_id: str) -> dict[str, bytes]:
        return (await self.zones.load(zone_id)).arrivals


def memory_stores() -> Stores:
    epochs, network = MemoryEpochStore(), Network()
    store = MemoryZoneStore(epochs, network)
    return Stores(store, store, MemoryWorldStore(epochs, network), epochs, network)


async def redis_stores(client: Redis, namespace: str) -> Stores:
    network = Network()
    slow: Any = OverNetwork(client, network)
    for script in SCRIPTS:
        await script.load(client)
    return Stores(
        RedisZoneStore(slow, namespace),
        RedisZoneStore(client, namespace),
        RedisWorldStore(slow, namespace),
        RedisEpochStore(client, namespace),
        network,
    )


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(url)), "contract")
    try:
        yield client
    finally:
        await client.aclose()


@asynccontextmanager
async def stores_of(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Stores]:
    """By the fixture's parameter: "memory" or "redis"."""
    if request.param == "memory":
        yield memory_stores()
        return
    async with connected(request.getfixturevalue("valkey_url")) as client:
        yield await redis_stores(client, namespace)


def parcel(number: int, transfer: int = 1, record: bytes = b"moved") -> Parcel:
    """Of entity `ent_<number>` with the session `ses_<number>`."""
    return Parcel(f"ent_{number}", f"ses_{number}", transfer, record)


def puts(*numbers: int, record: bytes = b"1") -> dict[str, tuple[str, bytes]]:
    return {f"ent_{number}": (f"ses_{number}", record) for number in numbers}


def drops(*numbers: int) -> dict[str, str]:
    return {f"ent_{number}": f"ses_{number}" for number in numbers}
