"""Topics' logs in Redis (rows 1.5 and 2.3).

`{ns}:topic:{hex}` stream of messages (method, params, previous); it ends an hour after the last one.
`{ns}:topic:{hex}:newest` the newest id; it stays for 30 days, so that `previous` is true even when the messages are gone.
`{ns}:topic-key:{key}` hash of what was done with a key.

Ids are `<milliseconds of the server's clock>-<count>`, and above the newest one whatever the clock says. When a topic was
silent for so long that its newest id is forgotten too, `previous` is "" once more, and the ids go on growing with the clock.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard
from cluster.adapters.redis.sessions import milliseconds
from cluster.ports.topics import Published, TopicMessage

PUBLISH = Script(__file__, "topic_publish.lua")

TOPIC_TTL_S = 3_600.0
NEWEST_TTL_S = 30 * 86_400.0


class RedisTopicLog:
    """Implements `cluster.ports.topics.TopicLog`. Keys are the caller's: one that was used for another topic was used."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._ns = namespace

    @guard()
    async def publish(
        self,
        topic: str,
        method: str,
        params_json: bytes,
        limit: int,
        key: str = "",
        result: str = "",
        key_ttl_s: float = 600.0,
    ) -> Published:
        args: list[str | bytes | int | float] = [
            self._ns, topic.encode().hex(), method, params_json, limit, key, result, milliseconds(key_ttl_s),
            secrets.token_hex(8), milliseconds(TOPIC_TTL_S), milliseconds(NEWEST_TTL_S),
        ]  # fmt: skip
        found = await PUBLISH(self._client, [], args)
        message_id, previous, kept = (part.decode() for part in found)
        if not message_id:
            return Published(None, kept)
        return Published(TopicMessage(topic, message_id, previous, method, params_json), kept)

    @guard()
    async def newest(self, topics: Sequence[str]) -> dict[str, str]:
        if not topics:
            return {}
        found: list[bytes | None] = await self._client.mget([f"{self._log(topic)}:newest" for topic in topics])  # type: ignore[assignment]
        return {topic: (place or b"").decode() for topic, place in zip(topics, found, strict=True)}

    @guard()
    async def after(self, cursors: Mapping[str, str], limit: int) -> list[TopicMessage]:
        """One round trip for all topics."""
        async with self._client.pipeline(transaction=False) as pipe:
            for topic, place in cursors.items():
                pipe.xrange(self._log(topic), f"({place}" if place else "-", "+", limit)
            pages = await pipe.execute()
        return [
            TopicMessage(
                topic, entry.decode(), fields[b"previous"].decode(), fields[b"method"].decode(), fields[b"params"]
            )
            for topic, page in zip(cursors, pages, strict=True)
            for entry, fields in page
        ]

    def _log(self, topic: str) -> str:
        return f"{self._ns}:topic:{topic.encode().hex()}"
