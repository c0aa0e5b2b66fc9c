"""What every adapter of the port of log levels does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from cluster.adapters.memory.log_levels import MemoryLogLevels
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.log_levels import RedisLogLevels
from cluster.ports.log_levels import EVERYBODY, LogLevel, LogLevels
from cluster.settings import RedisSettings


@pytest.fixture(params=["memory", "redis"])
async def levels(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[LogLevels]:
    if request.param == "memory":
        yield MemoryLogLevels()
        return
    client = connect(RedisSettings(url=SecretStr(request.getfixturevalue("valkey_url"))), "test")
    yield RedisLogLevels(client, namespace)
    await client.aclose()


async def test_nothing_was_set(levels: LogLevels) -> None:
    assert await levels.of("zone/a", 10.0) is None


async def test_for_everybody_and_for_some(levels: LogLevels) -> None:
    everybody, some = LogLevel("warning", 1.0), LogLevel("debug", 2.0, 20.0)
    await levels.set([EVERYBODY], everybody)
    await levels.set(["zone/a", "zone/b"], some)
    assert [await levels.of(name, 10.0) for name in ("zone/a", "zone/b", "zone/c")] == [some, some, everybody]
    assert await levels.of("zone/a", 20.0) == everybody


async def test_everybody_ends_what_was_set_for_single_ones(levels: LogLevels) -> None:
    await levels.set(["zone/a"], LogLevel("debug", 2.0))
    await levels.set([EVERYBODY], LogLevel("", 1.0))  # by a clock that is behind
    assert await levels.of("zone/a", 10.0) == LogLevel("", 1.0)
