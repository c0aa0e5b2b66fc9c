"""The Redis connection against a real Valkey, also one that is away or silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, connect, guard, text
from cluster.errors import Unavailable
from cluster.settings import RedisSettings
from tests.servers import Valkey


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(valkey_url), max_connections=4), "connection-test")
    yield client
    await client.aclose()


@pytest.fixture
def script(tmp_path: Path, namespace: str) -> Script:
    (tmp_path / "add.lua").write_text(f"-- {namespace}\nreturn redis.call('INCRBY', KEYS[1], ARGV[1])")
    return Script(str(tmp_path / "module.py"), "add.lua")


class TestScript:
    async def test_it_runs_whether_the_server_knows_it_or_not(
        self, client: Redis, script: Script, namespace: str
    ) -> None:
        assert await client.script_exists(script.sha) == [False]
        assert await script(client, [f"{namespace}:n"], [2]) == 2
        assert await client.script_exists(script.sha) == [True]
        assert await script(client, [f"{namespace}:n"], [3]) == 5

    async def test_loaded_it_works_in_a_pipeline(self, client: Redis, script: Script, namespace: str) -> None:
        await script.load(client)
        async with client.pipeline(transaction=False) as pipe:
            pipe.evalsha(script.sha, 1, f"{namespace}:n", 4)
            assert await pipe.execute() == [4]


class TestCancelling:
    @pytest.mark.parametrize("turns", range(1, 13))
    async def test_who_is_cancelled_ends_whenever_that_is(self, client: Redis, namespace: str, turns: int) -> None:
        """`turns` of the event loop after the command was begun: waiting for the pool, sending, reading."""
        await client.set(f"{namespace}:a", "a")
        await client.set(f"{namespace}:b", "b")

        async def ask() -> None:
            await client.get(f"{namespace}:a")

        for _ in range(20):
            asking = asyncio.create_task(ask())
            for _ in range(turns):
                await asyncio.sleep(0)
            if asking.cancel():
                await asyncio.wait([asking])
                assert asking.cancelled()
            assert await client.get(f"{namespace}:b") == b"b"  # not the answer that nobody read


class TestPool:
    async def test_it_is_bounded_named_and_speaks_resp3(self, client: Redis, namespace: str) -> None:
        async def many() -> None:
            for _ in range(10):
                await client.incr(f"{namespace}:n")

        await asyncio.gather(*(many() for _ in range(20)))
        assert await client.get(f"{namespace}:n") == b"200"
        mine = [peer for peer in await client.client_list() if peer["name"] == "connection-test"]
        assert 1 < len(mine) <= 4
        assert {peer["resp"] for peer in mine} == {"3"}

    async def test_waiting_for_a_connection_ends(self, valkey_url: str, namespace: str) -> None:
        settings = RedisSettings(url=SecretStr(valkey_url), max_connections=1, timeout_s=0.2)
        client = connect(settings, "connection-test")
        try:
            async with client.pubsub() as holder:
                await holder.subscribe(namespace)
                async with asyncio.timeout(10):  # the pool's own limit is meant, not the guard's
                    with pytest.raises(Unavailable):
                        async with guard(deadline_s=60):
                            await client.ping()
        finally:
            await client.aclose()


class TestOutages:
    async def test_a_server_that_dies_and_comes_back(self, tmp_path: Path) -> None:
        with Valkey(tmp_path) as server:
            client = connect(RedisSettings(url=SecretStr(server.url), timeout_s=0.5), "connection-test")
            try:
                async with guard():
                    await client.ping()
                server.kill()
                with pytest.raises(Unavailable, match="redis"):
                    async with guard():
                        await client.ping()
                server.start()
                async with guard():
                    await client.ping()
            finally:
                await client.aclose()

    async def test_a_silent_server_costs_no_more_than_the_deadline(self, tmp_path: Path) -> None:
        with Valkey(tmp_path) as server:
            client = connect(RedisSettings(url=SecretStr(server.url), timeout_s=30), "connection-test")

            @guard(deadline_s=0.3)
            async def ping() -> None:
                await client.ping()

            try:
                await ping()
                server.pause()
                async with asyncio.timeout(5):
                    with pytest.raises(Unavailable):
                        await ping()
                server.unpause()
                await ping()
            finally:
                server.unpause()
                await client.aclose()

    async def test_a_wrong_password_is_an_outage_that_does_not_quote_it(self, valkey_url: str) -> None:
        url = valkey_url.replace(":", ":wrong-", 2).replace("redis:wrong-//", "redis://")
        client = connect(RedisSettings(url=SecretStr(url)), "connection-test")
        try:
            with pytest.raises(Unavailable) as refused:
                async with guard():
                    await client.ping()
            assert "wrong-" not in f"{refused.value!r} {refused.value.__cause__!r} {refused.value.__cause__}"
        finally:
            await client.aclose()

    async def test_our_own_mistakes_are_no_outage(self, client: Redis, namespace: str) -> None:
        await client.set(f"{namespace}:text", "x")
        with pytest.raises(Exception, match="WRONGTYPE"):
            async with guard():
                await client.hgetall(f"{namespace}:text")


def test_text_takes_both_kinds() -> None:
    assert (text("é"), text("é".encode())) == ("é", "é")
