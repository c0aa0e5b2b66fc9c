"""The Redis connection against a real Valkey, also one that is away or silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from cluster.adapters.redis.connection import Script, connect, guard, text
from cluster.errors import Unavailable
from cluster.settings import RedisSettings
from tests.servers import Valkey, free_port


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

    async def test_a_server_that_may_not_write_now(self, tmp_path: Path, script: Script) -> None:
        """Each refuses in its own words, also to scripts and pipelines; reading goes on."""
        with Valkey(tmp_path) as server:
            client = connect(RedisSettings(url=SecretStr(server.url)), "connection-test")

            @guard()
            async def plain() -> None:
                await client.set("a", "1")

            @guard()
            async def scripted() -> None:
                await script(client, ["n"], [1])

            @guard()
            async def together(*, transaction: bool) -> None:
                async with client.pipeline(transaction=transaction) as pipe:
                    pipe.get("a")
                    pipe.set("a", "it's of pipeline")
                    await pipe.execute()

            async def refused() -> None:
                for attempt in (
                    plain,
                    scripted,
                    partial(together, transaction=True),
                    partial(together, transaction=False),
                ):
                    with pytest.raises(Unavailable, match="redis"):
                        await attempt()
                assert await client.get("a") == b"1"

            try:
                await plain()
                await client.config_set("min-replicas-to-write", "1")
                await refused()
                await client.config_set("min-replicas-to-write", "0")
                await plain()
                await client.config_set("save", "3600 1000000")
                (tmp_path / "dump.rdb").mkdir()  # a snapshot cannot take its place
                await client.bgsave()
                async with asyncio.timeout(20):
                    while (await client.info("persistence"))["rdb_last_bgsave_status"] != "err":  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
                await refused()
                await client.config_set("save", "")
                await plain()
                await client.replicaof("127.0.0.1", str(free_port()))  # READONLY
                await refused()
                await client.config_set("replica-serve-stale-data", "no")  # MASTERDOWN
                with pytest.raises(Unavailable):
                    async with guard():
                        await client.get("a")
            finally:
                await client.aclose()

    @pytest.mark.parametrize(
        ("said", "refused"),
        [
            ("MISCONF Errors writing to the AOF file: No space left on device", True),
            ("BUSY Valkey is busy running a script.", True),
            ("Command # 1 (SET a MISCONF ) of pipeline caused error: ('WRONGTYPE Operation against a key',)", False),
            ("ERR unknown command 'BUSY '", False),
            ("BUSYGROUP Consumer Group name already exists", False),
            ("BUSYKEY Target key name already exists.", False),
        ],
    )
    async def test_what_passes_by_itself_is_an_outage(self, said: str, refused: bool) -> None:
        with pytest.raises(Unavailable if refused else ResponseError):
            async with guard():
                raise ResponseError(said)

    async def test_our_own_mistakes_are_no_outage(self, client: Redis, namespace: str) -> None:
        await client.set(f"{namespace}:text", "x")
        with pytest.raises(Exception, match="WRONGTYPE"):
            async with guard():
                await client.hgetall(f"{namespace}:text")


def test_text_takes_both_kinds() -> None:
    assert (text("é"), text("é".encode())) == ("é", "é")
