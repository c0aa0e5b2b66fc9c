"""What every adapter of the limits does (cluster/ports/limits.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.memory.limits import MemoryLimiter
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.limits import RedisLimiter
from cluster.errors import Unavailable
from cluster.ports.limits import Limiter
from cluster.settings import RedisSettings
from tests.servers import free_port

SLOW = 0.01  # per second: what comes back while a test runs is less than one


@dataclass
class Rig:
    """`age` makes a key's last uses older, in seconds."""

    limiter: Limiter
    age: Callable[[str, float], Awaitable[None]]

    async def takes(self, count: int, key: str = "a", per_s: float = SLOW, burst: int = 3) -> list[bool]:
        return [await self.limiter.take(key, per_s, burst) == 0.0 for _ in range(count)]


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.123456

    def __call__(self) -> float:
        return self.now


def memory_rig() -> Rig:
    clock = Clock()

    async def age(key: str, by_s: float) -> None:
        clock.now += by_s

    return Rig(MemoryLimiter(clock), age)


def redis_rig(client: Redis, namespace: str) -> Rig:
    async def age(key: str, by_s: float) -> None:
        name = f"{namespace}:limit:{key}"
        full_at = int(await client.get(name) or 0)
        await client.set(name, full_at - round(by_s * 1e6))

    return Rig(RedisLimiter(client, namespace), age)


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(valkey_url)), "contract")
    yield client
    await client.aclose()


@pytest.fixture(params=["memory", "redis"])
async def rig(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Rig]:
    if request.param == "memory":
        yield memory_rig()
    else:
        client = connect(RedisSettings(url=SecretStr(request.getfixturevalue("valkey_url"))), "contract")
        yield redis_rig(client, namespace)
        await client.aclose()


class TestTake:
    @pytest.mark.parametrize("burst", [1, 2, 10])
    async def test_a_burst_and_no_more(self, rig: Rig, burst: int) -> None:
        assert await rig.takes(burst + 3, burst=burst) == [True] * burst + [False] * 3

    async def test_how_long_to_wait(self, rig: Rig) -> None:
        await rig.takes(3)
        assert 90.0 < await rig.limiter.take("a", SLOW, 3) <= 100.0

    async def test_refused_ones_use_nothing_up(self, rig: Rig) -> None:
        await rig.takes(3)
        first = await rig.limiter.take("a", SLOW, 3)
        await rig.takes(20)
        assert await rig.limiter.take("a", SLOW, 3) <= first

    async def test_after_the_wait_it_is_allowed(self, rig: Rig) -> None:
        await rig.takes(3)
        await rig.age("a", await rig.limiter.take("a", SLOW, 3))
        assert await rig.takes(2) == [True, False]

    async def test_a_little_before_it_is_not(self, rig: Rig) -> None:
        await rig.takes(3)
        await rig.age("a", await rig.limiter.take("a", SLOW, 3) - 20.0)
        assert await rig.takes(1) == [False]

    async def test_they_come_back_one_by_one_up_to_the_burst(self, rig: Rig) -> None:
        await rig.takes(3)
        await rig.age("a", 210.0)
        assert await rig.takes(4) == [True, True, False, False]
        await rig.age("a", 100_000.0)
        assert await rig.takes(4) == [True, True, True, False]

    async def test_keys_do_not_touch_each_other(self, rig: Rig) -> None:
        for key in ("a", "b", "a/b", "ö \n*"):
            assert await rig.takes(4, key) == [True, True, True, False]

    async def test_a_limit_that_was_made_smaller(self, rig: Rig) -> None:
        await rig.takes(100, burst=100)
        assert await rig.limiter.take("a", 1.0, 2) <= 1.0

    async def test_many_at_once(self, rig: Rig) -> None:
        waits = await asyncio.gather(*(rig.limiter.take("a", SLOW, 7) for _ in range(40)))
        assert waits.count(0.0) == 7


class TestRedis:
    """What only Redis has."""

    async def test_keys_expire_when_the_bucket_is_full(self, client: Redis, namespace: str) -> None:
        limiter = RedisLimiter(client, namespace)
        await limiter.take("a", SLOW, 3)
        assert 95_000 < await client.pttl(f"{namespace}:limit:a") <= 100_000
        await limiter.take("a", SLOW, 3)
        assert 195_000 < await client.pttl(f"{namespace}:limit:a") <= 200_000
        assert len(await client.keys(f"{namespace}:*")) == 1, "and there is nothing else"

    async def test_a_server_whose_clock_went_back(self, client: Redis, namespace: str) -> None:
        await client.set(f"{namespace}:limit:a", 9_000_000_000_000_000)
        assert await RedisLimiter(client, namespace).take("a", SLOW, 3) == 100.0

    async def test_a_server_that_is_away(self, namespace: str) -> None:
        settings = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{free_port()}/0"), timeout_s=0.2)
        client = connect(settings, "contract")
        with pytest.raises(Unavailable):
            await RedisLimiter(client, namespace).take("a", SLOW, 3)
        await client.aclose()
