"""What every adapter of the locks does (cluster/ports/lockouts.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.memory.lockouts import MemoryLockouts
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.lockouts import RedisLockouts
from cluster.errors import Unavailable
from cluster.ports.lockouts import KNOWN_ADDRESSES, KNOWN_S, Lockouts, LockRule
from cluster.settings import RedisSettings
from tests.servers import free_port

RULE = LockRule(failures=3, lock_s=100.0, max_lock_s=1_000.0)
STRANGER, HOME = "203.0.113.9", "198.51.100.1"


@dataclass
class Rig:
    """`age` makes all that is known of a name older, in seconds."""

    lockouts: Lockouts
    age: Callable[[str, float], Awaitable[None]]

    async def guesses(self, count: int, name: str = "ada", address: str = STRANGER) -> list[bool]:
        return [await self.lockouts.guess(name, address, RULE) == 0.0 for _ in range(count)]

    async def wait(self, name: str = "ada", address: str = STRANGER) -> float:
        return await self.lockouts.guess(name, address, RULE)

    async def log_in(self, name: str = "ada", address: str = HOME) -> None:
        assert await self.lockouts.guess(name, address, RULE) == 0.0
        await self.lockouts.right(name, address)


def memory_rig() -> Rig:
    now = [1_800_000_000.5]

    async def age(name: str, by_s: float) -> None:
        now[0] += by_s

    return Rig(MemoryLockouts(lambda: now[0]), age)


def redis_rig(client: Redis, namespace: str) -> Rig:
    async def age(name: str, by_s: float) -> None:
        for key in await client.keys(f"{namespace}:lockout*"):
            if b":lockout-known:" in key:
                for member in await client.zrange(key, 0, -1):
                    await client.zincrby(key, -by_s * 1e6, member)
            else:
                await client.hincrby(key, "since", -round(by_s * 1e6))
            left_ms = await client.pttl(key)
            await client.pexpire(key, left_ms - round(by_s * 1e3))

    return Rig(RedisLockouts(client, namespace), age)


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


class TestLocking:
    async def test_so_many_guesses_and_no_more(self, rig: Rig) -> None:
        assert await rig.guesses(6) == [True] * 3 + [False] * 3
        assert 90.0 < await rig.wait() <= 100.0

    async def test_of_many_at_once_as_many_are_judged(self, rig: Rig) -> None:
        waits = await asyncio.gather(*(rig.wait() for _ in range(40)))
        assert waits.count(0.0) == 3

    async def test_each_further_failure_locks_twice_as_long_up_to_the_longest(self, rig: Rig) -> None:
        await rig.guesses(3)
        for lock_s in (100.0, 200.0, 400.0, 800.0, 1_000.0, 1_000.0):
            wait = await rig.wait()
            assert lock_s - 10.0 < wait <= lock_s
            await rig.age("ada", wait - 20.0)
            assert 10.0 < await rig.wait() <= 20.0, "guesses meanwhile make it no longer"
            await rig.age("ada", 20.0)
            assert await rig.guesses(2) == [True, False], "one guess a lock"

    async def test_names_do_not_touch_each_other(self, rig: Rig) -> None:
        for name in ("ada", "eve", "ada/1", "\ud800", "ö \n*", "", "x" * 1_024):
            assert await rig.guesses(4, name) == [True, True, True, False]

    async def test_whence_strangers_guess_does_not_matter(self, rig: Rig) -> None:
        assert [await rig.guesses(1, address=f"203.0.113.{n}") for n in range(4)] == [[True]] * 3 + [[False]]

    async def test_few_failures_are_forgotten_when_none_came_for_long(self, rig: Rig) -> None:
        await rig.guesses(2)
        await rig.age("ada", 1_990.0)
        assert await rig.guesses(1) == [True], "the third"
        await rig.age("ada", 3_110.0)
        assert await rig.guesses(4) == [True, True, True, False]

    async def test_guessing_slowly_gains_nothing(self, rig: Rig) -> None:
        """However the guesses are spread, in the long run there is one for each `max_lock_s`."""
        judged, hours = 0, 24 * 7
        for _ in range(hours):
            judged += sum(await rig.guesses(6))
            await rig.age("ada", 3_600.0)
        assert judged <= hours * 3_600.0 / RULE.max_lock_s + RULE.failures


class TestSuccess:
    async def test_it_begins_anew(self, rig: Rig) -> None:
        await rig.guesses(2)
        await rig.log_in(address=STRANGER)
        assert await rig.guesses(4) == [True, True, True, False]

    async def test_the_owner_gets_in_from_where_the_owner_was(self, rig: Rig) -> None:
        await rig.log_in()
        await rig.guesses(20)
        assert not (await rig.guesses(1))[0]
        for _ in range(5):
            await rig.log_in()
        assert not (await rig.guesses(1))[0], "strangers stay locked out"

    async def test_guesses_from_a_known_address_are_counted_too(self, rig: Rig) -> None:
        await rig.log_in()
        assert await rig.guesses(5, address=HOME) == [True, True, True, False, False]
        assert await rig.guesses(4) == [True, True, True, False], "on their own"

    async def test_known_for_one_name_is_not_known_for_another(self, rig: Rig) -> None:
        await rig.log_in("eve")
        await rig.guesses(3)
        assert await rig.guesses(1, address=HOME) == [False]

    async def test_only_the_newest_addresses_are_known(self, rig: Rig) -> None:
        for n in range(KNOWN_ADDRESSES + 1):
            await rig.log_in(address=f"198.51.100.{n}")
        await rig.guesses(3)
        known = [await rig.guesses(1, address=f"198.51.100.{n}") for n in range(KNOWN_ADDRESSES + 1)]
        assert known == [[False]] + [[True]] * KNOWN_ADDRESSES

    async def test_an_address_is_forgotten(self, rig: Rig) -> None:
        await rig.log_in()
        await rig.age("ada", KNOWN_S + 10.0)
        await rig.guesses(3)
        assert await rig.guesses(1, address=HOME) == [False]

    async def test_a_changed_password_forgets_them_all(self, rig: Rig) -> None:
        await rig.log_in()
        await rig.guesses(3)
        await rig.lockouts.forget("ada")
        assert await rig.guesses(2, address=HOME) == [True, True]
        assert await rig.guesses(2) == [True, False], "as strangers"


class TestUnjudged:
    async def test_it_does_not_count(self, rig: Rig) -> None:
        for _ in range(10):
            await rig.guesses(1)
            await rig.lockouts.unjudged("ada", STRANGER, RULE)
        assert await rig.guesses(4) == [True, True, True, False]

    async def test_the_lock_that_it_made_ends(self, rig: Rig) -> None:
        await rig.guesses(3)
        await rig.lockouts.unjudged("ada", STRANGER, RULE)
        assert await rig.guesses(2) == [True, False]
        await rig.age("ada", 100.0)
        assert await rig.guesses(2) == [True, False]
        await rig.lockouts.unjudged("ada", STRANGER, RULE)
        assert await rig.guesses(1) == [True], "not even that of the failures before it"
        assert 190.0 < await rig.wait() <= 200.0

    async def test_of_a_name_that_nobody_guessed(self, rig: Rig) -> None:
        await rig.lockouts.unjudged("ada", STRANGER, RULE)
        assert await rig.guesses(4) == [True, True, True, False]


class TestRedis:
    """What only Redis has."""

    async def test_all_of_it_expires_and_names_nobody(self, client: Redis, namespace: str) -> None:
        lockouts = RedisLockouts(client, namespace)
        await lockouts.guess("ada", STRANGER, RULE)
        await lockouts.guess("eve", HOME, RULE)
        await lockouts.right("eve", HOME)
        await lockouts.guess("eve", HOME, RULE)
        keys = await client.keys(f"{namespace}:*")
        assert len(keys) == 3
        for key in keys:
            most_s = KNOWN_S if b"-known:" in key else RULE.max_lock_s
            assert 0 < await client.pttl(key) <= most_s * 1_000
            kept = await client.dump(key)
            assert not [text for text in (b"ada", b"eve", b"203.0", b"198.51") if text in key or text in kept]

    async def test_a_server_whose_clock_went_back(self, client: Redis, namespace: str) -> None:
        lockouts = RedisLockouts(client, namespace)
        for _ in range(3):
            await lockouts.guess("ada", STRANGER, RULE)
        (key,) = await client.keys(f"{namespace}:*")
        await client.hset(key, "since", 9_000_000_000_000_000)
        assert await lockouts.guess("ada", STRANGER, RULE) == 100.0

    async def test_a_server_that_is_away(self, namespace: str) -> None:
        settings = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{free_port()}/0"), timeout_s=0.2)
        client = connect(settings, "contract")
        lockouts = RedisLockouts(client, namespace)
        for call in (
            lockouts.guess("ada", STRANGER, RULE),
            lockouts.right("ada", STRANGER),
            lockouts.unjudged("ada", STRANGER, RULE),
            lockouts.forget("ada"),
        ):
            with pytest.raises(Unavailable):
                await call
        await client.aclose()
