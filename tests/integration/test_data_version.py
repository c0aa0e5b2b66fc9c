"""A realm's data and the release that starts it (cluster/schema.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.redis import data_version
from cluster.adapters.redis.connection import connect
from cluster.errors import StartRefused
from cluster.schema import DATA
from cluster.settings import RedisSettings


@pytest_asyncio.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(valkey_url)), "test-data-version")
    yield client
    await client.aclose()


@pytest.mark.parametrize("before", [None, b"[1,1]", f"[{DATA.version},{DATA.readable_by}]".encode()])
async def test_older_data_and_its_own(client: Redis, namespace: str, before: bytes | None) -> None:
    if before is not None:
        await client.set(f"{namespace}:data-version", before)
    await data_version.check(client, namespace)
    assert await client.get(f"{namespace}:data-version") == f"[{DATA.version},{DATA.readable_by}]".encode()


async def test_newer_data_that_it_can_read_stays_newer(client: Redis, namespace: str) -> None:
    newer = f"[{DATA.version + 5},{DATA.version}]".encode()
    await client.set(f"{namespace}:data-version", newer)
    await data_version.check(client, namespace)
    assert await client.get(f"{namespace}:data-version") == newer


@pytest.mark.parametrize("data", [f"[99,{DATA.version + 1}]".encode(), b"{", b'"x"', b"[1]"])
async def test_what_it_cannot_read(client: Redis, namespace: str, data: bytes) -> None:
    await client.set(f"{namespace}:data-version", data)
    with pytest.raises(StartRefused):
        await data_version.check(client, namespace)
    assert await client.get(f"{namespace}:data-version") == data
