"""What the tests of topics' logs share."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr
from redis.asyncio import Redis

from cluster.adapters.memory.topics import MemoryTopicLog
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.topics import RedisTopicLog
from cluster.ports.topics import TopicLog, TopicMessage
from cluster.settings import RedisSettings

NEWS, OTHER = "news", "chat:Zoë's 1.*>"
LIMIT = 1_000
BLOCK = 100  # entries of a stream that Redis trims at once (stream-node-max-entries)


@dataclass
class Rig:
    """`expire` ends a topic's messages, and `expire_key` a key, as their times to live do."""

    log: TopicLog
    expire: Callable[[str], Awaitable[None]]
    expire_key: Callable[[str], Awaitable[None]]

    async def publish(self, topic: str = NEWS, data: str = "{}", limit: int = LIMIT, key: str = "") -> TopicMessage:
        """One that is new."""
        published = await self.log.publish(topic, "system.topic", data.encode(), limit, key)
        assert published.message is not None
        return published.message

    async def after(self, place: str, topic: str = NEWS, limit: int = 10_000) -> list[TopicMessage]:
        return await self.log.after({topic: place}, limit)


def memory_rig() -> Rig:
    log = MemoryTopicLog()

    async def expire(topic: str) -> None:
        log.expire(topic)

    async def expire_key(key: str) -> None:
        log.expire_key(key)

    return Rig(log, expire, expire_key)


def redis_rig(client: Redis, namespace: str) -> Rig:
    async def expire(topic: str) -> None:
        await client.delete(f"{namespace}:topic:{topic.encode().hex()}")

    async def expire_key(key: str) -> None:
        await client.delete(f"{namespace}:topic-key:{key}")

    return Rig(RedisTopicLog(client, namespace), expire, expire_key)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Redis]:
    client = connect(RedisSettings(url=SecretStr(url)), "contract")
    try:
        yield client
    finally:
        await client.aclose()


def order(message_id: str) -> tuple[int, int]:
    milliseconds, _, count = message_id.partition("-")
    return int(milliseconds), int(count)


def chained(messages: list[TopicMessage]) -> bool:
    """Each names the one before it, and ids grow."""
    return all(
        later.previous == earlier.id and order(later.id) > order(earlier.id)
        for earlier, later in itertools.pairwise(messages)
    )
