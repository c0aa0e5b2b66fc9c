"""What every adapter of the epoch port does (cluster/ports/epochs.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.epochs import RedisEpochStore
from cluster.errors import Unavailable
from cluster.ports.epochs import EpochStore
from cluster.settings import RedisSettings
from tests.servers import free_port


@pytest.fixture(params=["memory", "redis"])
async def epochs(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[EpochStore]:
    if request.param == "memory":
        yield MemoryEpochStore()
    else:
        client = connect(RedisSettings(url=SecretStr(request.getfixturevalue("valkey_url"))), "contract")
        yield RedisEpochStore(client, namespace)
        await client.aclose()


async def test_each_one_is_higher_than_all_before(epochs: EpochStore) -> None:
    assert await epochs.current("zone", "zon_a") == 0
    for expected in range(1, 6):
        assert await epochs.take("zone", "zon_a") == expected
        assert await epochs.current("zone", "zon_a") == expected


async def test_kinds_and_names_count_apart(epochs: EpochStore) -> None:
    await epochs.take("zone", "zon_a")
    await epochs.take("zone", "zon_a")
    assert await epochs.take("zone", "zon_b") == 1
    assert await epochs.take("sessions", "zon_a") == 1
    assert await epochs.current("zone", "zon_a") == 2
    assert await epochs.current("presence", "zon_a") == 0


async def test_of_many_at_once_each_gets_its_own(epochs: EpochStore) -> None:
    taken = await asyncio.gather(*(epochs.take("zone", "zon_a") for _ in range(100)))
    assert sorted(taken) == list(range(1, 101))


async def test_realms_that_share_a_server_count_apart(valkey_url: str, namespace: str) -> None:
    client = connect(RedisSettings(url=SecretStr(valkey_url)), "contract")
    one, other = RedisEpochStore(client, namespace), RedisEpochStore(client, f"{namespace}-other")
    await one.take("zone", "zon_a")
    assert await other.take("zone", "zon_a") == 1
    await client.aclose()


async def test_a_server_that_is_away(namespace: str) -> None:
    settings = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{free_port()}/0"), timeout_s=0.2)
    client = connect(settings, "contract")
    epochs = RedisEpochStore(client, namespace)
    with pytest.raises(Unavailable):
        await epochs.take("zone", "zon_a")
    with pytest.raises(Unavailable):
        await epochs.current("zone", "zon_a")
    await client.aclose()
