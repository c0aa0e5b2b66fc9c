"""What every adapter of the world's store does (cluster/ports/zones.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from cluster.adapters.redis.world import RedisWorldStore
from cluster.errors import Fenced, Unavailable
from cluster.ports.calls import SUPERVISOR
from cluster.world_settings import WorldSettings
from cluster.worldmap import WorldMap
from tests.contract.zone_stores import BYTES, OverNetwork, Stores, connected, redis_stores, stores_of


@pytest.fixture(params=["memory", "redis"])
async def stores(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Stores]:
    async with stores_of(request, namespace) as made:
        yield made


async def supervise(stores: Stores) -> int:
    return await stores.epochs.take("supervisor", SUPERVISOR)


async def test_a_new_world_has_neither(stores: Stores) -> None:
    assert await stores.world.load() == (b"", b"")


async def test_both_come_back_byte_for_byte(stores: Stores) -> None:
    epoch = await supervise(stores)
    for world_map, plan in ((BYTES, b""), (b"", BYTES), (b"{}", b"{}")):
        await stores.world.save(epoch, world_map, plan)
        assert await stores.world.load() == (world_map, plan)


async def test_a_map(stores: Stores) -> None:
    declared = WorldMap.declared(WorldSettings())
    await stores.world.save(await supervise(stores), declared.dump(), b"")
    assert WorldMap.load((await stores.world.load())[0]) == declared


async def test_one_supervisor_at_a_time(stores: Stores) -> None:
    with pytest.raises(Fenced):
        await stores.world.save(0, b"nobody's", b"")
    old = await supervise(stores)
    await stores.world.save(old, b"1", b"plan")
    new = await supervise(stores)
    for epoch in (old, new + 1, 0):
        with pytest.raises(Fenced):
            await stores.world.save(epoch, b"2", b"")
    assert await stores.world.load() == (b"1", b"plan")
    await stores.world.save(new, b"2", b"")
    assert await stores.world.load() == (b"2", b"")


async def test_a_save_that_was_given_up_and_runs_late(stores: Stores) -> None:
    epoch = await supervise(stores)
    late, arrive = await stores.network.hold(stores.world.save(epoch, b"1", b"first step"))
    await stores.world.save(epoch, b"2", b"second step")
    arrive.set()
    with pytest.raises(Unavailable):
        await late
    assert await stores.world.load() == (b"2", b"second step")


async def test_a_save_whose_answer_was_lost(stores: Stores) -> None:
    epoch = await supervise(stores)
    await stores.network.lose_answer(stores.world.save(epoch, b"1", b"plan"))
    assert await stores.world.load() == (b"1", b"plan")
    await stores.world.save(epoch, b"1", b"plan")


async def test_realms_that_share_a_server(valkey_url: str, namespace: str) -> None:
    async with connected(valkey_url) as client:
        stores = await redis_stores(client, namespace)
        await stores.world.save(await supervise(stores), b"map", b"plan")
        assert await RedisWorldStore(client, f"{namespace}-other").load() == (b"", b"")


async def test_sent_twice(valkey_url: str, namespace: str) -> None:
    async with connected(valkey_url) as client:
        stores = await redis_stores(client, namespace)
        slow: Any = OverNetwork(client, stores.network)
        slow.sends = 2
        world = RedisWorldStore(slow, namespace)
        await world.save(await supervise(stores), b"map", b"plan")
        assert await world.load() == (b"map", b"plan")
