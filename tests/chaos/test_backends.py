"""Valkey and NATS of our own behind proxies: killed, paused, slowed and cut, they do what is expected, and come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import RedisError

from cluster import settings
from cluster.adapters.nats_bus import NatsBus
from cluster.adapters.redis.connection import connect
from cluster.chaos.backends import NATS, REDIS, OwnServers, own_servers
from cluster.errors import Unavailable
from cluster.settings import NatsSettings, RedisSettings, Settings

DEADLINE_S = 10.0


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServers]:
    with own_servers(tmp_path_factory.mktemp("chaos") / "data", lambda line: None) as made:
        yield made


@pytest.fixture
def told(servers: OwnServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What a realm makes of the sections."""
    toml = tmp_path / "realm.toml"
    toml.write_text(servers.config())
    monkeypatch.setenv("RAYREALM_CONFIG", str(toml))
    return settings.load()


def redis_of(told: Settings, timeout_s: float = 1.0) -> Redis:
    return connect(RedisSettings(url=told.redis.url, timeout_s=timeout_s), "test")


async def test_killed_it_is_away_until_it_is_let_back(servers: OwnServers, told: Settings) -> None:
    client = redis_of(told, 0.2)
    await client.set("kept", "yes")
    await servers.kill(REDIS)
    with pytest.raises(RedisError):
        await client.ping()
    async with asyncio.timeout(DEADLINE_S):
        await servers.back(REDIS)
    assert await client.get("kept") == b"yes"
    await client.aclose()


async def test_paused_it_is_silent(servers: OwnServers, told: Settings) -> None:
    client = redis_of(told, 5.0)
    await client.ping()
    servers.pause(REDIS)
    began = time.monotonic()
    asyncio.get_running_loop().call_later(0.5, servers.resume, REDIS)
    await client.ping()
    assert time.monotonic() - began >= 0.45
    await client.aclose()


async def test_slow_it_answers_late(servers: OwnServers, told: Settings) -> None:
    client = redis_of(told, 5.0)
    await client.ping()
    servers.slow(REDIS, 0.3)
    began = time.monotonic()
    await client.ping()
    assert time.monotonic() - began >= 0.28
    servers.slow(REDIS, 0.0)
    began = time.monotonic()
    await client.ping()
    assert time.monotonic() - began < 0.25
    await client.aclose()


async def test_cut_connections_are_made_again(servers: OwnServers, told: Settings) -> None:
    client = redis_of(told)
    await client.ping()
    assert servers.cut(REDIS) >= 1
    assert await client.ping()
    await client.aclose()


async def test_nats_comes_back_with_its_subscriptions(servers: OwnServers, told: Settings) -> None:
    bus = await NatsBus.connect(NatsSettings(url=told.nats.url, token=told.nats.token), "test")
    heard = asyncio.Event()
    await bus.subscribe("chaos.test", lambda data: heard.set())
    async with asyncio.timeout(DEADLINE_S):
        await servers.kill(NATS)
        await servers.back(NATS)
        while not heard.is_set():
            bus.publish("chaos.test", b"x")
            await asyncio.sleep(0.05)
    await bus.close()


async def test_whoever_watches_goes_past_the_proxies(servers: OwnServers) -> None:
    client = connect(RedisSettings(url=SecretStr(servers.direct_redis)), "watcher")
    bus = await NatsBus.connect(
        NatsSettings(url=SecretStr(servers.direct_nats), token=SecretStr(servers.nats_token)), "watcher"
    )
    servers.slow(REDIS, 1.0)
    servers.slow(NATS, 1.0)
    async with asyncio.timeout(0.9):
        await client.ping()
        await bus.flush(0.5)
    servers.slow(REDIS, 0.0)
    servers.slow(NATS, 0.0)
    await bus.close()
    await client.aclose()


async def test_nobody_gets_in_while_it_is_refused(servers: OwnServers, told: Settings) -> None:
    await servers.kill(NATS)
    with pytest.raises(Unavailable):
        await NatsBus.connect(NatsSettings(url=told.nats.url, token=told.nats.token, timeout_s=0.5), "test")
    async with asyncio.timeout(DEADLINE_S):
        await servers.back(NATS)
    bus = await NatsBus.connect(NatsSettings(url=told.nats.url, token=told.nats.token), "test")
    await bus.close()
