"""Topics' logs in Redis (rows 1.5 and 2.3).

`{ns}:topic:{hex}` stream of messages (method, params, previous; sender, refresh and trace if they have one); it ends when no
message asks for it to be kept any longer.
`{ns}:topic:{hex}:newest` the newest id; it stays for 30 days, so that `previous` is true even when the messages are
gone.
`{ns}:topic-key:{key}` hash of what was done with a key.

Ids are `<milliseconds of the server's clock>-<count>`, and above the newest one whatever the clock says. When a topic was
silent for so long that its newest id is forgotten too, `previous` is "" once more, and the ids go on growing with the clock.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard
from cluster.adapters.redis.sessions import milliseconds
from cluster.ports.topics import Published, PublishedMany, TopicMessage, each_of, each_params

PUBLISH = Script(__file__, "topic_publish.lua")

NEWEST_TTL_S = 30 * 86_400.0


class RedisTopicLog:
    """Implements `cluster.ports.topics.TopicLog`. Keys are the caller's: one that was used for another topic was used."""

    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._ns = namespace

    async def publish(
        self,
        topic: str,
        method: str,
        params_json: bytes,
        limit: int,
        key: str = "",
        result: str = "",
        key_ttl_s: float = 600.0,
        keep_s: float = 3_600.0,
        sender: str = "",
        refresh: str = "",
        trace: str = "",
    ) -> Published:
        published = await self.publish_many(
            [topic], method, params_json, limit, key, result, key_ttl_s, keep_s, sender, refresh, trace
        )
        return Published(published.messages[0] if published.messages else None, published.result)

    @guard()
    async def publish_many(
        self,
        topics: Sequence[str],
        method: str,
        params_json: bytes | Sequence[bytes],
        limit: int | Sequence[int],
        key: str = "",
        result: str = "",
        key_ttl_s: float = 600.0,
        keep_s: float | Sequence[float] = 3_600.0,
        sender: str = "",
        refresh: str = "",
        trace: str = "",
    ) -> PublishedMany:
        """One call of a script."""
        each = each_params(topics, params_json)
        limits, keeps = each_of(topics, limit), each_of(topics, keep_s)
        shared = params_json if isinstance(params_json, bytes) else b""
        about: list[str | int] = []
        for topic in each:
            newest_s = max(keeps[topic], NEWEST_TTL_S)
            about += [topic.encode().hex(), limits[topic], milliseconds(keeps[topic]), milliseconds(newest_s)]
        args: list[str | bytes | int | float] = [
            self._ns, method, shared, key, result, secrets.token_hex(8), milliseconds(key_ttl_s), sender, refresh,
            trace, len(each), *about, *([] if shared == params_json else each.values()),
        ]  # fmt: skip
        kept, *ids = [part.decode() for part in await PUBLISH(self._client, [], args)]
        messages = tuple(
            TopicMessage(topic, message_id, previous, method, params, sender, refresh, trace)
            for (topic, params), message_id, previous in zip(each.items(), ids[::2], ids[1::2], strict=False)
        )
        return PublishedMany(messages, kept)

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
            _message(topic, entry, fields) for topic, page in zip(cursors, pages, strict=True) for entry, fields in page
        ]

    @guard()
    async def before(self, topic: str, place: str, limit: int) -> list[TopicMessage]:
        page: list[Any] = await self._client.xrevrange(self._log(topic), f"({place}" if place else "+", "-", limit)  # type: ignore[assignment]
        return [_message(topic, entry, fields) for entry, fields in reversed(page)]

    def _log(self, topic: str) -> str:
        return f"{self._ns}:topic:{topic.encode().hex()}"


def _message(topic: str, entry: bytes, fields: Mapping[bytes, bytes]) -> TopicMessage:
    return TopicMessage(
        topic,
        entry.decode(),
        fields[b"previous"].decode(),
        fields[b"method"].decode(),
        fields[b"params"],
        fields.get(b"sender", b"").decode(),
        fields.get(b"refresh", b"").decode(),
        fields.get(b"trace", b"").decode(),
    )
