"""Which order of maintenance holds, in every adapter of the port to protection (cluster/ports/protection.py)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.memory.protection import MemoryProtection
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.protection import RedisProtection
from cluster.ports.protection import Maintenance, Protection, ProtectionStore
from cluster.settings import RedisSettings

HOUR = 3_600.0


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(valkey_url)), "contract")
    yield client
    await client.aclose()


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, namespace: str) -> ProtectionStore:
    if request.param == "memory":
        return MemoryProtection(time.time)
    return RedisProtection(request.getfixturevalue("client"), namespace)


async def everything(store: ProtectionStore) -> Protection:
    loaded = await store.load(-1)
    assert loaded is not None
    return loaded


async def test_an_old_order_undoes_no_newer_one(store: ProtectionStore) -> None:
    """A job that another console carries on must not close a realm that somebody has opened since, nor open a closed one."""
    first, second = Maintenance(1.0, "operator:ada", "", job="job_1"), Maintenance(5.0, "operator:bob", "", job="job_2")
    assert await store.maintain(first, 100.0)
    assert await store.maintain(None, 100.5)
    version = (await everything(store)).version
    assert not await store.maintain(first, 100.0)
    assert await store.load(version) is None, "nothing has changed"
    assert await store.maintain(second, 101.25)
    assert not await store.maintain(None, 100.5)
    assert not await store.maintain(None, 101.0)
    assert (await everything(store)).maintenance == second
    assert await store.maintain(None, 101.25)
    assert (await everything(store)).maintenance is None


async def test_a_clock_that_is_ahead_keeps_nobody_out(store: ProtectionStore) -> None:
    closed = Maintenance(1.0, "operator:ada", "")
    assert await store.maintain(closed, time.time() + HOUR)
    assert await store.maintain(None, time.time() + 1.0)
    assert (await everything(store)).maintenance is None
