"""What every adapter of the port to bans does (cluster/ports/bans.py); what a ban keeps from a user: test_session_store.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.memory.bans import MemoryBans
from cluster.adapters.redis.bans import RedisBans
from cluster.adapters.redis.connection import connect
from cluster.errors import Unavailable
from cluster.ports.bans import Ban, Bans
from cluster.settings import RedisSettings
from tests.servers import free_port

HOUR = 3_600.0


@dataclass
class Rig:
    """`expire` ends a user's ban as its time does."""

    bans: Bans
    expire: Callable[[str], Awaitable[None]]


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(valkey_url)), "contract")
    yield client
    await client.aclose()


@pytest.fixture(params=["memory", "redis"])
def rig(request: pytest.FixtureRequest, namespace: str) -> Rig:
    if request.param == "memory":
        now = [1_000.0]

        async def later(user_id: str) -> None:
            ban = await bans.banned(user_id)
            assert ban is not None
            assert ban.left_s is not None
            now[0] += ban.left_s

        bans = MemoryBans(lambda: now[0])
        return Rig(bans, later)
    client: Redis = request.getfixturevalue("client")

    async def expire(user_id: str) -> None:
        assert await client.delete(f"{namespace}:ban:user:{user_id}")

    return Rig(RedisBans(client, namespace), expire)


async def test_nobody_is_banned(rig: Rig) -> None:
    assert await rig.bans.banned("usr_a") is None
    assert await rig.bans.lift("usr_a") is False


async def test_for_a_time(rig: Rig) -> None:
    await rig.bans.ban("usr_a", HOUR, "cheating: 'ö'")
    ban = await rig.bans.banned("usr_a")
    assert ban is not None
    assert ban.left_s is not None
    assert HOUR - 60 < ban.left_s <= HOUR
    assert ban == Ban("cheating: 'ö'", ban.left_s)
    assert await rig.bans.banned("usr_b") is None


async def test_until_it_is_over(rig: Rig) -> None:
    await rig.bans.ban("usr_a", HOUR, "")
    await rig.expire("usr_a")
    assert await rig.bans.banned("usr_a") is None
    assert await rig.bans.lift("usr_a") is False


async def test_for_good(rig: Rig) -> None:
    await rig.bans.ban("usr_a", None, "")
    assert await rig.bans.banned("usr_a") == Ban("", None)


async def test_lifted(rig: Rig) -> None:
    await rig.bans.ban("usr_a", None, "")
    await rig.bans.ban("usr_b", None, "")
    assert await rig.bans.lift("usr_a") is True
    assert await rig.bans.lift("usr_a") is False
    assert await rig.bans.banned("usr_a") is None
    assert await rig.bans.banned("usr_b") == Ban("", None)


async def test_the_newest_counts(rig: Rig) -> None:
    await rig.bans.ban("usr_a", None, "old")
    await rig.bans.ban("usr_a", HOUR, "new")
    ban = await rig.bans.banned("usr_a")
    assert ban is not None
    assert ban.reason == "new"
    assert ban.left_s is not None, "shorter than the one before"
    await rig.bans.ban("usr_a", None, "newest")
    assert await rig.bans.banned("usr_a") == Ban("newest", None), "and longer"


async def test_less_than_a_millisecond_is_a_ban(client: Redis, namespace: str) -> None:
    """SET PX 0 is an error."""
    await RedisBans(client, namespace).ban("usr_a", 0.000_1, "")
    assert await client.pttl(f"{namespace}:ban:user:usr_a") <= 1


async def test_realms_that_share_a_server(client: Redis, namespace: str) -> None:
    await RedisBans(client, namespace).ban("usr_a", HOUR, "")
    assert await RedisBans(client, f"{namespace}-other").banned("usr_a") is None


async def test_a_server_that_is_away(namespace: str) -> None:
    settings = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{free_port()}/0"), timeout_s=0.2)
    client = connect(settings, "contract")
    bans = RedisBans(client, namespace)
    for attempt in (bans.ban("usr_a", 1.0, ""), bans.lift("usr_a"), bans.banned("usr_a")):
        with pytest.raises(Unavailable):
            await attempt
    await client.aclose()
