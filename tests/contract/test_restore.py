"""A restore on a real server: it touches nothing while the realm runs, nor for a backup that could not be brought in whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.redis import transfer
from cluster.adapters.redis.connection import client_name, connect
from cluster.backup.archive import Archive, Entry, Manifest, write
from cluster.cli import backup
from cluster.errors import StartRefused
from cluster.settings import RedisSettings


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    async with transfer.opened(valkey_url) as client:
        yield client


async def archive_of(path: Path, namespace: str, *entries: Entry) -> Archive:
    async def some() -> AsyncIterator[Entry]:
        for entry in entries:
            yield entry

    await write(path, Manifest(namespace, "1", 1.0, True), some(), {})
    return Archive(path)


async def test_not_while_a_process_of_the_realm_is_connected(
    client: Redis, valkey_url: str, namespace: str, tmp_path: Path
) -> None:
    archive = await archive_of(tmp_path / "a", namespace, Entry(f"{namespace}:a".encode(), "string", -1, [b"old"]))
    settings = RedisSettings(url=SecretStr(valkey_url))
    await client.set(f"{namespace}:a", "new")
    process = connect(settings, client_name(namespace, "zone/zon_a"))
    neighbour = connect(settings, client_name(f"{namespace}2", "supervisor"))
    assert await process.ping()
    assert await neighbour.ping()
    with pytest.raises(StartRefused, match="zone-zon_a"):
        await backup._load(archive, valkey_url, replace=True)
    assert await client.get(f"{namespace}:a") == b"new"
    await process.aclose()
    assert await backup._load(archive, valkey_url, replace=True) == 1
    assert await client.get(f"{namespace}:a") == b"old"
    await neighbour.aclose()
    archive.close()


async def test_one_that_cannot_be_brought_in_whole_clears_nothing(
    client: Redis, valkey_url: str, namespace: str, tmp_path: Path
) -> None:
    bad = Entry(f"{namespace}:b".encode(), "zset", -1, [b"member", b"many"])
    archive = await archive_of(tmp_path / "a", namespace, Entry(f"{namespace}:a".encode(), "string", -1, [b"old"]), bad)
    await client.set(f"{namespace}:a", "new")
    with pytest.raises(StartRefused, match="no zset"):
        await backup._load(archive, valkey_url, replace=True)
    assert await client.get(f"{namespace}:a") == b"new"
    archive.close()
