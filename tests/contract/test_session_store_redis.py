"""What only Redis has of a session store: time to live, and indexes that outlive what they point to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.errors import Unavailable
from cluster.ports.sessions import SessionRecord
from cluster.settings import RedisSettings
from tests.contract.session_stores import ALL, NOW, TTL, A, Stores, ids, redis_stores


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(valkey_url)), "contract")
    yield client
    await client.aclose()


@pytest.fixture
def stores(client: Redis, namespace: str) -> Stores:
    return redis_stores(client, namespace)


async def ttl_ms(client: Redis, namespace: str, session_id: str) -> int:
    left: int = await client.pttl(f"{namespace}:session:{session_id}")
    return left


async def test_every_record_expires_unless_it_is_touched(stores: Stores, client: Redis, namespace: str) -> None:
    fence = await stores.actor()
    session_id = (await stores.place()).session_id
    assert 290_000 < await ttl_ms(client, namespace, session_id) <= 300_000
    record = SessionRecord(session_id, "usr_a", A, "authenticated", "gtw_a", 1)
    await stores.sessions.write(record, fence, ALL, 100.0)
    assert 90_000 < await ttl_ms(client, namespace, session_id) <= 100_000
    await stores.sessions.touch([session_id], fence, 200.0, NOW)
    assert 190_000 < await ttl_ms(client, namespace, session_id) <= 200_000


async def test_a_time_to_live_of_less_than_a_second(stores: Stores, client: Redis, namespace: str) -> None:
    """EXPIRE 0 would delete the record at once."""
    fence = await stores.actor()
    placed = await stores.sessions.place("", "ses_short", "usr_a", 5, 5, 0.9, NOW)
    assert 0 < await ttl_ms(client, namespace, placed.session_id) <= 900
    await stores.sessions.touch([placed.session_id], fence, 0.8, NOW)
    assert 0 < await ttl_ms(client, namespace, placed.session_id) <= 800


async def test_nothing_is_left_of_a_session_that_ended(stores: Stores, client: Redis, namespace: str) -> None:
    fence = await stores.actor()
    record = await stores.attached(fence)
    await stores.sessions.end(record.session_id, fence)
    left = {key.decode().removeprefix(namespace) async for key in client.scan_iter(f"{namespace}:*")}
    assert left == {":session-actors", f":epoch:sessions:{A}"}


async def test_indexes_forget_what_expired(stores: Stores, client: Redis, namespace: str) -> None:
    fence = await stores.actor()
    record = await stores.attached(fence)
    await stores.expire(record.session_id)
    await stores.sessions.online(10)
    assert await client.zcard(f"{namespace}:online") == 0
    await stores.sessions.touch([], fence, TTL, NOW)
    assert await client.scard(f"{namespace}:actor:{A}:sessions") == 0
    assert await client.zscore(f"{namespace}:session-actors", A) == 0
    await stores.place("usr_a")
    assert await client.scard(f"{namespace}:user:usr_a:sessions") == 1


async def test_a_wrong_load_is_put_right(stores: Stores, client: Redis, namespace: str) -> None:
    fence = await stores.actor()
    record = await stores.attached(fence)
    await client.zadd(f"{namespace}:session-actors", {A: 999})
    assert await stores.sessions.room(10) == 0
    await stores.sessions.touch([record.session_id], fence, TTL, NOW)
    assert await client.zscore(f"{namespace}:session-actors", A) == 1


async def test_a_server_that_forgot_the_scripts(stores: Stores, client: Redis) -> None:
    fence = await stores.actor()
    await client.script_flush()
    record = await stores.attached(fence)
    await client.script_flush()
    assert await stores.sessions.touch([record.session_id], fence, TTL, NOW) == set()
    await client.script_flush()
    assert await stores.sessions.zones_of([record.session_id]) == {record.session_id: ""}


async def test_realms_that_share_a_server(stores: Stores, client: Redis, namespace: str) -> None:
    await stores.actor()
    await stores.place("usr_a")
    other = redis_stores(client, f"{namespace}-other")
    assert await other.sessions.get("ses_1") is None
    assert (await other.place("usr_a")).actor == ""


async def test_very_many_at_once(stores: Stores) -> None:
    fence = await stores.actor()
    for n in range(0, 2_000, 100):
        await asyncio.gather(*(stores.place(f"usr_{n + i}", per_actor=5_000) for i in range(100)))
    every = ids(await stores.sessions.of_actor(A))
    assert len(every) == 2_000
    assert await stores.sessions.touch(every, fence, TTL, NOW) == set()
    assert len(await stores.sessions.zones_of(every)) == 2_000
    assert await stores.sessions.missing(every) == set()


async def test_a_write_that_was_given_up_and_runs_late_changes_nothing(
    stores: Stores, client: Redis, namespace: str
) -> None:
    """As when the server stood still for longer than its callers wait, and then takes what lies in its sockets, in any order."""
    fence = await stores.actor()
    record = await stores.attached(fence)
    late = RedisSessionStore(client, namespace)  # its numbers begin anew, so they are older
    acknowledged = replace(record, status="busy")
    for _ in range(3):
        await stores.sessions.write(acknowledged, fence, ALL, TTL)
    with pytest.raises(Unavailable):
        await late.write(replace(record, status="away"), fence, ALL, TTL)
    found = await stores.sessions.get(record.session_id)
    assert found is not None
    assert found.status == "busy"
