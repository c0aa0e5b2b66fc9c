"""The adapters of the chat's store, for the tests of what each of them does."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.memory.chat import MemoryChatStore
from cluster.adapters.memory.topics import MemoryTopicLog
from cluster.adapters.redis.chat import RedisChatStore
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.topics import RedisTopicLog
from cluster.ports.chat import Channel, ChatStore, Gate, Passed, Presence, Waiting
from cluster.ports.topics import TopicLog
from cluster.settings import RedisSettings

ANN, BOB = "usr_ann", "usr_bob"
HALL, OTHER = "hall", "a:b.c-d_1"
DAY = 86_400.0
GATE_OF_TESTS = Gate(rate_per_s=0.01, burst=3, keep_s=DAY)
OPEN = replace(GATE_OF_TESTS, rate_per_s=1_000.0, burst=1_000)


@dataclass
class Rig:
    """`session(id, status)` makes a session there is, `end(id)` ends it. `now()` is the store's clock."""

    store: ChatStore
    topics: TopicLog
    session: Callable[[str, str], Awaitable[None]]
    end: Callable[[str], Awaitable[None]]
    now: Callable[[], float]

    async def passes(self, key: str, channel: str = HALL, user: str = ANN, gate: Gate = OPEN) -> Passed:
        return await self.store.pass_gate(channel, user, gate, key, f"msg_of_{key}")

    async def create(self, name: str = HALL, private: bool = False, slow_s: float = 0.0) -> Channel:
        made = Channel(name, ANN, private, slow_s, 1_800_000_000.5)
        await self.store.create(made, 10, DAY)
        return made

    async def all_members(self, channel: str = HALL, limit: int = 100) -> set[Presence]:
        found, cursor = await self.store.members(channel, 0, limit)
        while cursor:
            more, cursor = await self.store.members(channel, cursor, limit)
            found += more
        return set(found)


def memory_rig() -> Rig:
    topics, sessions = MemoryTopicLog(), {}

    async def session(session_id: str, status: str) -> None:
        sessions[session_id] = status

    async def end(session_id: str) -> None:
        del sessions[session_id]

    return Rig(MemoryChatStore(topics, sessions.get, time.time), topics, session, end, time.time)


def redis_rig(client: Redis, namespace: str) -> Rig:
    async def session(session_id: str, status: str) -> None:
        await client.hset(f"{namespace}:session:{session_id}", "status", status)

    async def end(session_id: str) -> None:
        await client.delete(f"{namespace}:session:{session_id}")

    return Rig(RedisChatStore(client, namespace), RedisTopicLog(client, namespace), session, end, time.time)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(url)), "contract")
    try:
        yield client
    finally:
        await client.aclose()


@asynccontextmanager
async def rig_of(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Rig]:
    """For a fixture with the params "memory" and "redis"."""
    if request.param == "memory":
        yield memory_rig()
    else:
        async with connected(request.getfixturevalue("valkey_url")) as client:
            yield redis_rig(client, namespace)


def who(number: int, name: str = "Zoë of Here") -> Presence:
    return Presence(f"ses_{number}", f"usr_{number}", name)


def waiting(number: int) -> Waiting:
    return Waiting(f"msg_{number}", b'{"n":%d,"text":"\xc3\xb6"}' % number)
