"""Circuit breakers before real servers: an outage is refused at once, its end is noticed, and what is no outage opens nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.exceptions
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.nats_bus import NatsBus
from cluster.adapters.redis import connection
from cluster.adapters.redis.connection import connect, guard
from cluster.adapters.runtime import until_available
from cluster.breaker import Breaker
from cluster.errors import Fenced, Unavailable
from cluster.operator_settings import BreakerSettings
from cluster.settings import RedisSettings
from tests.contract.test_bus import nats_settings, until
from tests.servers import Nats, Valkey

FEW = BreakerSettings(failures=3, open_s=0.5)
AT_ONCE_S = 0.1


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SILENT_S", 0.0)


def breaker_of(client: Redis) -> Breaker:
    pool = client.connection_pool
    assert isinstance(pool, connection._Pool)
    return pool.breaker


@pytest.fixture
async def own(tmp_path: Path, short: None) -> AsyncIterator[tuple[Valkey, Redis]]:
    with Valkey(tmp_path) as server:
        client = connect(RedisSettings(url=SecretStr(server.url), timeout_s=0.3), "test", FEW)
        yield server, client
        await client.aclose()


@guard()
async def put(client: Redis, value: str = "1") -> None:
    await client.set("k", value)


@guard()
async def wrong(client: Redis) -> None:
    await client.set("k", "1")
    await client.lpush("k", "x")


async def fails(client: Redis, times: int) -> None:
    for _ in range(times):
        with pytest.raises(Unavailable):
            await put(client)


class TestRedis:
    async def test_away_and_back(self, own: tuple[Valkey, Redis]) -> None:
        server, client = own
        await put(client)
        server.kill()
        await fails(client, 3)
        assert not breaker_of(client).closed
        began = time.monotonic()
        with pytest.raises(Unavailable) as refused:
            await put(client)
        assert time.monotonic() - began < AT_ONCE_S
        assert 0.0 < refused.value.retry_after_s <= FEW.open_s
        server.start()
        async with asyncio.timeout(5.0):
            await until_available(lambda: put(client))
        assert breaker_of(client).closed

    async def test_a_write_that_must_be_made_is_made(self, own: tuple[Valkey, Redis]) -> None:
        """A loop that repeats until it is done, like those that write epochs and outboxes, is only refused for a while."""
        server, client = own
        server.kill()
        await fails(client, 4)
        refused = 0

        async def write() -> None:
            nonlocal refused
            while True:
                try:
                    return await put(client, "fence")
                except Unavailable:
                    refused += 1
                    await asyncio.sleep(0.05)

        writing = asyncio.create_task(write())
        await asyncio.sleep(0)
        server.start()
        began = time.monotonic()
        async with asyncio.timeout(10.0):
            await writing
        assert time.monotonic() - began < FEW.open_s + 2.0
        assert await client.get("k") == b"fence"

    async def test_what_the_server_says_itself_opens_nothing(self, own: tuple[Valkey, Redis]) -> None:
        _, client = own
        await client.config_set("maxmemory", "1")
        for _ in range(10):
            with pytest.raises(Unavailable):
                await put(client)
        async with guard():  # reads go on
            assert await client.get("k") is None
        await client.config_set("maxmemory", "0")
        for _ in range(10):
            with pytest.raises(redis.exceptions.ResponseError):
                await wrong(client)
        assert breaker_of(client).closed

    async def test_a_fenced_writer_is_told_so(self, own: tuple[Valkey, Redis]) -> None:
        _, client = own

        @guard()
        async def fenced() -> None:
            await client.get("k")
            raise Fenced

        for _ in range(10):
            with pytest.raises(Fenced):
                await fenced()
        assert breaker_of(client).closed

    async def test_a_full_pool_is_not_the_server(self, tmp_path: Path, short: None) -> None:
        with Valkey(tmp_path) as server:
            settings = RedisSettings(url=SecretStr(server.url), timeout_s=0.3, max_connections=1)
            client = connect(settings, "test", FEW)
            held = await client.connection_pool.get_connection()  # type: ignore[no-untyped-call]
            await fails(client, 6)
            assert breaker_of(client).closed
            await client.connection_pool.release(held)
            await put(client)
            await client.aclose()

    async def test_connections_that_break_together_open_nothing(self, own: tuple[Valkey, Redis]) -> None:
        """A proxy that restarts, a server's CLIENT KILL: every call is repeated, none fails."""
        _, client = own
        await asyncio.gather(*(put(client) for _ in range(20)))
        other = connect(RedisSettings(url=client_url(client)), "other", FEW)
        await other.client_kill_filter(_type="normal", skipme=True)
        await asyncio.gather(*(put(client) for _ in range(20)))
        assert breaker_of(client).closed
        await other.aclose()

    async def test_who_is_cancelled_says_nothing(self, own: tuple[Valkey, Redis]) -> None:
        _, client = own
        await put(client)

        @guard()
        async def slow() -> None:
            await client.blpop(["empty"], timeout=0.2)

        for _ in range(10):
            task = asyncio.create_task(slow())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert breaker_of(client).closed


def client_url(client: Redis) -> SecretStr:
    made = client.connection_pool.connection_kwargs
    return SecretStr(f"redis://:{made['password']}@{made['host']}:{made['port']}/0")


class TestNats:
    async def test_away_and_back(self, tmp_path: Path) -> None:
        with Nats(tmp_path) as server:
            bus = await NatsBus.connect(nats_settings(server, timeout_s=0.3), "test", FEW)
            server.kill()
            await until(lambda: not bus.connected)
            for _ in range(3):
                with pytest.raises(Unavailable):
                    await bus.request("x", b"", 0.05)
            began = time.monotonic()
            with pytest.raises(Unavailable) as refused:
                await bus.request("x", b"", 60.0)
            assert await bus.gather("x", b"", 60.0, 10) == []
            assert time.monotonic() - began < AT_ONCE_S
            assert 0.0 < refused.value.retry_after_s <= FEW.open_s
            server.start()
            await until(lambda: bus.connected)
            await bus.flush(1.0)  # at once, whatever was left of the pause
            await bus.close()

    async def test_those_who_should_answer_are_not_the_bus(self, nats_server: Nats, namespace: str) -> None:
        bus = await NatsBus.connect(nats_settings(nats_server), "test", FEW)

        async def silent(_data: bytes) -> bytes:
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

        await bus.respond(f"{namespace}.silent", silent)
        for subject in ("silent", "nobody"):
            for _ in range(6):
                with pytest.raises(Unavailable):
                    await bus.request(f"{namespace}.{subject}", b"", 0.02)
        await bus.flush(1.0)
        await bus.close()
